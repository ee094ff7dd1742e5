"""Whole tensors, and what tensor parallelism keeps of them in each process.

Nanotron records with every sharded parameter which slices of the whole tensor the process holds, and where: several
pairs where a tensor is made of chunks that are sharded one by one, such as segments of parameter tokens, or query, key
and value in one matrix.
"""

from collections.abc import Iterable, Sequence
from typing import Protocol

import torch


class SlicesPair(Protocol):
    """As Nanotron's: `shard[local_slices]` is `whole[global_slices]`; a slice for every dimension."""

    @property
    def local_slices(self) -> tuple[slice, ...]: ...

    @property
    def global_slices(self) -> tuple[slice, ...]: ...


def whole_shape(param) -> tuple[int, ...]:
    """The shape of a `NanotronParameter` as a whole."""
    return tuple(map(int, param.get_sharded_info().unsharded_shape if param.is_sharded else param.shape))


def shard_of(whole: torch.Tensor, param) -> torch.Tensor:
    """The shard that this process holds of the weight, or of a moment, of a `NanotronParameter`.

    Returns:
        A new tensor of the parameter's shape, with the whole tensor's dtype and device.

    Raises:
        ValueError: the whole tensor has another shape than the parameter has as a whole.
    """
    expected = whole_shape(param)
    if tuple(whole.shape) != expected:
        raise ValueError(f"a tensor of shape {tuple(whole.shape)} for a parameter of shape {expected}")
    if not param.is_sharded:
        return whole.clone(memory_format=torch.contiguous_format)
    shard = whole.new_empty(param.shape)
    for pair in param.get_sharded_info().local_global_slices_pairs:
        shard[pair.local_slices] = whole[pair.global_slices]
    return shard


def join_shards(shape: Sequence[int], parts: Iterable[tuple[torch.Tensor, Sequence[SlicesPair]]]) -> torch.Tensor:
    """The whole tensor of which these are the shards, in any order.

    Args:
        shape: of the whole tensor.
        parts: each shard, and where it belongs.

    Raises:
        ValueError: the shards leave a gap, overlap, or are not of the size that their slices say.
    """
    parts = list(parts)
    if not is_tiled(shape, [pair.global_slices for _, pairs in parts for pair in pairs]):
        raise ValueError(f"{len(parts)} shards do not make a whole of shape {tuple(shape)}")
    whole = parts[0][0].new_empty(tuple(shape))
    for shard, pairs in parts:
        for pair in pairs:
            place, content = whole[pair.global_slices], shard[pair.local_slices]
            if place.shape != content.shape:
                raise ValueError(f"a shard of shape {tuple(shard.shape)} does not hold what its slices say")
            place.copy_(content)
    return whole


def is_tiled(shape: Sequence[int], boxes: Sequence[tuple[slice, ...]]) -> bool:
    """Tells whether each element is in one box. The boxes must differ along one dimension alone, as Nanotron's do."""
    ranges = [[part.indices(size) for part, size in zip(box, shape, strict=True)] for box in boxes]
    wholes = [(0, size, 1) for size in shape]
    split = {axis for box in ranges for axis, size in enumerate(wholes) if box[axis] != size}
    if len(split) != 1:
        return not split and len(boxes) == 1
    (axis,) = split
    along = sorted(box[axis] for box in ranges)
    starts, stops = [start for start, _, _ in along], [stop for _, stop, _ in along]
    return starts == [0, *stops[:-1]] and stops[-1] == shape[axis] and all(step == 1 for _, _, step in along)
