"""Puts whole tensors into a live model and its optimizer, whatever their layout: each process takes what it holds."""

from collections.abc import Callable

import torch
from nanotron import distributed as dist
from nanotron.models import NanotronModel
from nanotron.optim.base import BaseOptimizer
from nanotron.optim.gradient_accumulator import FP32GradientAccumulator
from nanotron.optim.zero import ZeroDistributedOptimizer

from tokenformer.growth.parameter_state import ParameterState
from tokenformer.trainer.shards import shard_of


@torch.no_grad()
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
    held = set(optimizer.id_to_name.values()) if optimizer else set()  # with ZeRO-1 not all of the model's
    adam_states = {}
    for name, param in model.get_named_params_with_correct_tied():
        state = state_of(name)
        precise = _shard(name, state.most_precise, param)
        param.copy_(precise)
        if name not in held:
            continue
        if accumulator is not None:
            accumulator.parameters[name]["fp32"].copy_(_slice_of_replica(optimizer, name, precise))
        if state.moments:
            adam_states[name] = {
                key: _slice_of_replica(optimizer, name, _shard(name, moment, param))
                for key, moment in state.moments.items()
            }
            adam_states[name]["step"] = state.step.clone()
    if adam_states:
        _load_adam_states(optimizer, adam_states)


def _shard(name: str, whole: torch.Tensor, param) -> torch.Tensor:
    try:
        return shard_of(whole, param)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error


def _slice_of_replica(optimizer: BaseOptimizer, name: str, shard: torch.Tensor) -> torch.Tensor:
    """What the optimizer of this process holds of a shard: with ZeRO-1 a slice of it, flat."""
    if not isinstance(optimizer, ZeroDistributedOptimizer):
        return shard
    start, end = optimizer.param_name_to_dp_rank_offsets[name][dist.get_rank(optimizer.dp_pg)]
    return shard.reshape(-1)[start:end].clone()  # a view would keep the whole shard


def _load_adam_states(optimizer: BaseOptimizer, states: dict[str, dict[str, torch.Tensor]]) -> None:
    """By way of torch's own loading, which knows on which device and in which dtype Adam wants each tensor."""
    adam = optimizer.get_base_optimizer()
    names = [optimizer.id_to_name[id(param)] for group in adam.param_groups for param in group["params"]]
    numbered = {number: states[name] for number, name in enumerate(names) if name in states}
    adam.load_state_dict({"state": numbered, "param_groups": adam.state_dict()["param_groups"]})
