"""Cutting a tensor into shards and joining them is the identity; what is no whole is refused."""

from dataclasses import dataclass, field

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tokenformer.trainer.checkpoint.tensor_shards import join_shards, shard_of


@dataclass
class Pair:
    local_slices: tuple[slice, ...]
    global_slices: tuple[slice, ...]


@dataclass
class Parameter:
    """What `shard_of` asks of a `NanotronParameter`."""

    shape: tuple[int, ...]
    unsharded_shape: tuple[int, ...]
    local_global_slices_pairs: list[Pair] = field(default_factory=list)

    @property
    def is_sharded(self) -> bool:
        return bool(self.local_global_slices_pairs)

    def get_sharded_info(self):
        return self


def parameters(chunks: list[int], ranks: int, axis: int, other: int) -> list[Parameter]:
    """Every rank's share of each chunk of a matrix, chunk after chunk."""

    def at(start: int, size: int) -> tuple[slice, ...]:
        return tuple(slice(start, start + size) if dim == axis else slice(None) for dim in range(2))

    def shape(length: int) -> tuple[int, ...]:
        return (length, other) if axis == 0 else (other, length)

    result = []
    for rank in range(ranks):
        pairs, start = [], 0
        for chunk in chunks:
            pairs.append(Pair(at(start, chunk), at(start * ranks + rank * chunk, chunk)))
            start += chunk
        result.append(Parameter(shape(start), shape(start * ranks), pairs))
    return result


sizes = st.integers(1, 4)


@given(chunks=st.lists(sizes, min_size=1, max_size=4), ranks=sizes, axis=st.integers(0, 1), other=sizes)
def test_joined_shards_are_the_whole(chunks, ranks, axis, other):
    params = parameters(chunks, ranks, axis, other)
    whole = torch.randn(params[0].unsharded_shape)
    shards = [shard_of(whole, param) for param in params]
    assert [shard.shape for shard in shards] == [param.shape for param in params]
    parts = [(shard, param.local_global_slices_pairs) for shard, param in zip(shards, params, strict=True)]
    assert torch.equal(join_shards(whole.shape, reversed(parts)), whole)
    if ranks > 1:
        for wrong in (parts[1:], [*parts, parts[0]], [parts[0]] * ranks, []):
            with pytest.raises(ValueError, match="shards do not make a whole"):
                join_shards(whole.shape, wrong)


def test_a_parameter_that_is_not_sharded_is_copied():
    whole = torch.randn(3)
    shard = shard_of(whole, Parameter((3,), (3,)))
    assert torch.equal(shard, whole) and shard.data_ptr() != whole.data_ptr()


def test_a_tensor_of_another_shape_is_refused():
    (param,) = parameters([4], 1, 0, 2)
    for tensor in (torch.zeros(5, 2), torch.zeros(4, 1), torch.zeros(4)):
        with pytest.raises(ValueError, match=r"\(4, 2\)"):
            shard_of(tensor, param)


def test_a_shard_is_never_stretched():
    (param,) = parameters([4], 1, 0, 2)
    with pytest.raises(ValueError, match="does not hold what its slices say"):
        join_shards((4, 2), [(torch.zeros(4, 1), param.local_global_slices_pairs)])
