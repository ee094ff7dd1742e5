"""Puts whole tensors into a live model and its optimizer, whatever their layout: each process takes what it holds."""

from collections.abc import Callable

import torch
from nanotron import distributed as dist
from nanotron.models import NanotronModel
from nanotron.optim.base import BaseOptimizer
from nanotron.optim.gradient_accumulator import FP32GradientAccumulator
from nanotron.optim.zero import ZeroDistributedOptimizer

from tokenformer.growth.parameter_state import ParameterState
from tokenformer.trainer.checkpoint.tensor_shards import shard_of


class TrainingPlaces:
    """Where this process keeps weights, fp32 copies and Adam's state of a model's parameters.

    Args:
        model: not wrapped in DDP.
        optimizer, accumulator: those of the model, if it has them.
    """

    def __init__(
        self,
        model: NanotronModel,
        optimizer: BaseOptimizer | None,
        accumulator: FP32GradientAccumulator | None,
    ):
        self.params = dict(model.get_named_params_with_correct_tied())
        self.optimizer, self.accumulator = optimizer, accumulator
        self.optimized = {}  # with ZeRO-1 not all of the model's, and slices of them
        if optimizer is not None:
            self.adam = optimizer.get_base_optimizer()
            optimized = [param for group in self.adam.param_groups for param in group["params"]]
            self.optimized = {optimizer.id_to_name[id(param)]: param for param in optimized}

    @torch.no_grad()
    def fill(self, name: str, state: ParameterState) -> None:
        """Copies this process' part of a parameter's whole state; Adam's state stays as it is where there is none.

        Raises:
            ValueError: a whole tensor has another shape than the parameter.
        """
        precise = self._shard(name, state.most_precise)
        self.params[name].copy_(precise)
        optimized = self.optimized.get(name)
        if optimized is None:
            return
        if self.accumulator is not None:
            self.accumulator.parameters[name]["fp32"].copy_(self._slice_of_replica(name, precise))
        if state.moments and state.step is not None:
            moments = {
                key: self._slice_of_replica(name, self._shard(name, moment)).to(optimized.device, optimized.dtype)
                for key, moment in state.moments.items()
            }
            # As torch's AdamW keeps its count: on the parameter's device when it is fused.
            device = optimized.device if self.adam.defaults["fused"] else "cpu"
            step = torch.tensor(float(state.step), dtype=torch.float32, device=device)
            self.adam.state[optimized] = {"step": step, **moments}

    def _shard(self, name: str, whole: torch.Tensor) -> torch.Tensor:
        try:
            return shard_of(whole, self.params[name])
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from error

    def _slice_of_replica(self, name: str, shard: torch.Tensor) -> torch.Tensor:
        """The part of a shard that the optimizer of this process holds: with ZeRO-1 a slice of it, flat."""
        if self.optimizer is None or not isinstance(self.optimizer, ZeroDistributedOptimizer):
            return shard
        start, end = self.optimizer.param_name_to_dp_rank_offsets[name][dist.get_rank(self.optimizer.dp_pg)]
        return shard.reshape(-1)[start:end].clone()  # a view would keep the whole shard


def restore(
    model: NanotronModel,
    optimizer: BaseOptimizer | None,
    accumulator: FP32GradientAccumulator | None,
    state_of: Callable[[str], ParameterState],
) -> None:
    """Sets weights, fp32 copies, and Adam's moments where the state has any; the others are as they were.

    Args:
        model: not wrapped in DDP.
        optimizer, accumulator: those of the model, if it has them.
        state_of: the whole state of a parameter, by its name; tied ones have the embedding's. It is called once for
            each parameter of this process, so it may read from the disk.

    Raises:
        ValueError: a whole tensor has another shape than its parameter.
    """
    places = TrainingPlaces(model, optimizer, accumulator)
    for name in places.params:
        places.fill(name, state_of(name))
