"""How a whole parameter lies on tensor-parallel ranks: joined from shards and cut into them, by copies alone.

Nothing is summed, so that every bit of a value arrives, the sign of a zero included.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from nanotron.parallel.parameters import NanotronParameter, SlicesPair


@dataclass(frozen=True)
class Shard:
    """The part of a parameter that one tensor-parallel rank holds.

    Args:
        shape: of this part.
        whole_shape: of the whole parameter.
        slices: where pieces of this part stand in the whole; empty when every rank holds the whole.
    """

    shape: tuple[int, ...]
    whole_shape: tuple[int, ...]
    slices: tuple[SlicesPair, ...]

    @classmethod
    def of(cls, param: NanotronParameter) -> "Shard":
        shape = tuple(param.shape)
        if not param.is_sharded:
            return cls(shape, shape, ())
        info = param.get_sharded_info()
        return cls(shape, tuple(int(size) for size in info.unsharded_shape), info.local_global_slices_pairs)

    @property
    def is_whole(self) -> bool:
        return not self.slices or self.shape == self.whole_shape


def joined(parts: Sequence[torch.Tensor], shards: Sequence[Shard]) -> torch.Tensor:
    """The whole tensor, from the parts of all tensor-parallel ranks."""
    if shards[0].is_whole:
        return parts[0]
    whole = parts[0].new_empty(shards[0].whole_shape)
    for part, shard in zip(parts, shards, strict=True):
        for pair in shard.slices:
            whole[pair.global_slices] = part[pair.local_slices]
    return whole


def cut(whole: torch.Tensor, shard: Shard) -> torch.Tensor:
    """One rank's part of a whole tensor, or of one that broadcasts to it; not a copy where the part is the whole.

    Raises:
        ValueError: the tensor does not have the shape of the whole.
    """
    whole = whole.expand(shard.whole_shape)
    if shard.is_whole:
        return whole
    part = whole.new_empty(shard.shape)
    for pair in shard.slices:
        part[pair.local_slices] = whole[pair.global_slices]
    return part
