"""The training state of a live run, gathered parameter by parameter as whole tensors.

What belongs to one parameter is spread over processes: tensor parallelism shards it, ZeRO-1 cuts the optimizer's part
of each shard into one flat slice a replica, and a pipeline stage holds the parameters of its blocks alone. A piece
first goes to the stages that need it, then slices are joined over the replicas, and then shards over the
tensor-parallel ranks. Bytes are copied and never added.
"""

import gc
from collections.abc import Set
from dataclasses import dataclass

import torch
import torch.distributed
from nanotron.models import NanotronModel
from nanotron.optim.zero import ZeroDistributedOptimizer
from nanotron.trainer import DistributedTrainer
from torch.nn.parallel import DistributedDataParallel

from tokenformer.devices import default_device
from tokenformer.growth.parameter_state import MOMENT_POWERS, ParameterState
from tokenformer.trainer.checkpoint.tensor_shards import SlicesPair, join_shards, whole_shape

Slices = tuple[tuple[int, int], ...]


def unwrapped(model) -> NanotronModel:
    return model.module if isinstance(model, DistributedDataParallel) else model


def over_group(item, group) -> list:
    """The values of every rank of a group, in their order."""
    items = [item]
    if group.size() > 1:
        items = [None] * group.size()
        torch.distributed.all_gather_object(items, item, group=group)
    return items


def stages_by_name(model, pp_pg) -> dict[str, set[int]]:
    """Which pipeline stages hold each parameter of the whole model, in one order on every rank; tied ones are one."""
    names = over_group([name for name, _ in model.get_named_params_with_correct_tied()], pp_pg)
    return {name: {stage for stage, held in enumerate(names) if name in held} for name in sorted(set().union(*names))}


def optimizer_slices(optimizer, name: str, numel: int, dp_size: int) -> Slices:
    """The elements of a flattened shard whose optimizer's state each replica keeps."""
    if not isinstance(optimizer, ZeroDistributedOptimizer):
        return ((0, numel),) * dp_size
    ranges = optimizer.param_name_to_dp_rank_offsets[name]
    slices = (ranges.get(rank, (0, 0)) for rank in range(dp_size))
    return tuple((int(start), int(end)) for start, end in slices)


@dataclass(frozen=True)
class Description:
    """A parameter as one process holds it, without its values.

    Args:
        shape: of this process' shard.
        places: where pieces of the shard belong in the whole parameter; none when every rank holds the whole.
        slices: see `optimizer_slices`.
        step: Adam's count of updates, None before the first.
    """

    shape: tuple[int, ...]
    whole_shape: tuple[int, ...]
    places: tuple[SlicesPair, ...]
    dtype: torch.dtype
    slices: Slices
    step: float | None


class LiveState:
    """Takes weights and optimizer state away from a trainer and gives them back whole, one parameter at a time.

    The trainer's model and optimizer are empty afterwards, so that what is released here is freed.
    """

    def __init__(self, trainer: DistributedTrainer):
        context = trainer.parallel_context
        self.dp_pg, self.tp_pg, self.pp_pg = context.dp_pg, context.tp_pg, context.pp_pg
        self.stage = torch.distributed.get_rank(self.pp_pg)
        model = unwrapped(trainer.model)
        self.stages = stages_by_name(model, self.pp_pg)
        steps = self._steps(trainer.optimizer)
        own = {}
        for name, param in model.get_named_params_with_correct_tied():
            own[name] = Description(
                shape=tuple(param.shape),
                whole_shape=whole_shape(param),
                places=param.get_sharded_info().local_global_slices_pairs if param.is_sharded else (),
                dtype=param.dtype,
                slices=optimizer_slices(trainer.optimizer, name, param.numel(), self.dp_pg.size()),
                step=steps.get(name),
            )
        # By stage, then by tensor-parallel rank; replicas are alike.
        self.descriptions = over_group(over_group(own, self.tp_pg), self.pp_pg)
        self.has_master = trainer.grad_accumulator is not None
        self.pieces = _take_pieces(trainer)

    def _steps(self, optimizer) -> dict[str, float]:
        """Adam's counts, also of parameters of which another replica has every element."""
        state = optimizer.get_base_optimizer().state
        own = {optimizer.id_to_name[id(param)]: float(values["step"]) for param, values in state.items()}
        return {name: step for steps in over_group(own, self.dp_pg) for name, step in steps.items()}

    @property
    def bytes_held(self) -> int:
        """Bytes of all tensors that were not released yet, in this process."""
        return sum(tensor.nbytes for pieces in self.pieces.values() for tensor in pieces.values())

    def release(self, name: str) -> None:
        self.pieces.pop(name, None)

    def whole(self, name: str, needed_by: Set[int]) -> ParameterState | None:
        """A parameter with all that belongs to it; every rank has to call this in the same order.

        Args:
            needed_by: pipeline stages; ranks of other stages get None.
        """
        source = self.stage if self.stage in self.stages[name] else min(self.stages[name])
        described = [by_name[name] for by_name in self.descriptions[source]]
        step, optimizer_dtype = described[0].step, torch.float32 if self.has_master else described[0].dtype
        weight = self._gathered(name, "weight", described, described[0].dtype, needed_by)
        master = self._gathered(name, "master", described, torch.float32, needed_by) if self.has_master else None
        keys = () if step is None else MOMENT_POWERS
        gathered = [(key, self._gathered(name, key, described, optimizer_dtype, needed_by)) for key in keys]
        if weight is None:
            return None
        moments = {key: moment for key, moment in gathered if moment is not None}
        return ParameterState(weight, master, moments, None if step is None else torch.tensor(step))

    def _gathered(
        self, name: str, kind: str, described: list[Description], dtype: torch.dtype, needed_by: Set[int]
    ) -> torch.Tensor | None:
        """One tensor of a parameter, whole; `described` by each tensor-parallel rank."""
        mine = described[torch.distributed.get_rank(self.tp_pg)]
        numel = torch.Size(mine.shape).numel()
        slices = mine.slices if kind != "weight" else ((0, numel),) * self.dp_pg.size()
        start, end = slices[torch.distributed.get_rank(self.dp_pg)]
        piece = self.pieces.get(name, {}).get(kind)
        piece = self._over_pipeline(name, piece, end - start, dtype, needed_by)
        if self.stage not in needed_by:
            return None
        is_sliced = any(bounds != (0, numel) for bounds in slices)
        if is_sliced:
            sizes = [end - start for start, end in slices]
            piece = torch.cat(_gathered_flat(piece, sizes, self.dp_pg))
        if not mine.places or self.tp_pg.size() == 1:
            return piece.view(mine.shape)
        parts = _gathered_flat(piece, [numel] * self.tp_pg.size(), self.tp_pg)
        shards = [(part.view(each.shape), each.places) for part, each in zip(parts, described, strict=True)]
        return join_shards(mine.whole_shape, shards)

    def _over_pipeline(
        self, name: str, piece: torch.Tensor | None, numel: int, dtype: torch.dtype, needed_by: Set[int]
    ) -> torch.Tensor:
        """A piece of a parameter, flat, on the stages that need it; sent by the first of those that hold it."""
        holders = self.stages[name]
        receivers, sender = sorted(set(needed_by) - holders), min(holders)
        if numel and self.stage == sender and piece is not None:
            for receiver in receivers:
                rank = torch.distributed.get_global_rank(self.pp_pg, receiver)
                torch.distributed.send(_as_bytes(piece), rank, group=self.pp_pg)
        if self.stage in receivers:
            piece = torch.empty(numel, dtype=dtype, device=default_device())
            if numel:
                rank = torch.distributed.get_global_rank(self.pp_pg, sender)
                torch.distributed.recv(_as_bytes(piece), rank, group=self.pp_pg)
        if piece is None:  # not here, or a replica's empty slice
            piece = torch.empty(0, dtype=dtype, device=default_device())
        return piece.flatten()


def _as_bytes(tensor: torch.Tensor) -> torch.Tensor:
    """A view, which every backend can carry whatever the dtype is."""
    return tensor.flatten().view(torch.uint8)


def _gathered_flat(piece: torch.Tensor, sizes: list[int], group) -> list[torch.Tensor]:
    """The flat tensors of all ranks of a group, whose sizes may differ."""
    if group.size() == 1:
        return [piece]
    parts = [piece.new_empty(max(sizes)) for _ in sizes]
    padded = torch.cat([piece, piece.new_zeros(max(sizes) - len(piece))])
    torch.distributed.all_gather([_as_bytes(part) for part in parts], _as_bytes(padded), group=group)
    return [part[:size] for part, size in zip(parts, sizes, strict=True)]


def _take_pieces(trainer: DistributedTrainer) -> dict[str, dict[str, torch.Tensor]]:
    """This process' tensors by parameter name and kind; what the trainer held is emptied, gradients are dropped."""
    optimizer, accumulator = trainer.optimizer, trainer.grad_accumulator
    optimizer.zero_grad()
    base = optimizer.get_base_optimizer()
    pieces: dict[str, dict[str, torch.Tensor]] = {}
    for name, param in unwrapped(trainer.model).get_named_params_with_correct_tied():
        pieces[name] = {"weight": param.data}
        param.data = param.new_empty(0)
    for param, state in base.state.items():
        pieces[optimizer.id_to_name[id(param)]] |= {key: state[key] for key in MOMENT_POWERS}
    if accumulator is not None:
        for name, copies in accumulator.parameters.items():
            pieces[name]["master"] = copies["fp32"].detach()
        accumulator.parameters.clear()
        accumulator.fp32_grad_buffers.clear()
        accumulator._contiguous_fp32_grad_buffer = None
    base.state.clear()
    base.param_groups.clear()
    trainer.model = trainer.unwrapped_model = trainer.optimizer = trainer.grad_accumulator = None
    trainer.lr_scheduler = None
    gc.collect()
    return pieces
