"""Shards of a parameter joined and cut, against the places that Nanotron itself gives to every rank."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tokenformer.trainer import bootstrap

bootstrap()
from nanotron.parallel import sharded_parameters  # noqa: E402 (only after bootstrap)

from tokenformer.trainer.whole_tensors import Shard, cut, joined  # noqa: E402


class Group:
    def __init__(self, size: int):
        self.count = size

    def size(self) -> int:
        return self.count


def shards_of(rows: list[int], columns: int, split_dim: int, ranks: int, monkeypatch) -> list[Shard]:
    """Of a parameter whose chunks of `rows` are sharded by themselves, along one dimension."""
    chunks = tuple(size * ranks for size in rows)
    shape = [columns, columns]
    shape[split_dim] = sum(rows)
    shards = []
    for rank in range(ranks):
        monkeypatch.setattr(sharded_parameters.dist, "get_rank", lambda group, rank=rank: rank)
        monkeypatch.setattr(sharded_parameters.dist, "get_global_rank", lambda group, rank: rank)
        split = sharded_parameters.SplitConfig(split_dim=split_dim, contiguous_chunks=chunks if len(rows) > 1 else None)
        empty = torch.nn.Parameter(torch.empty(shape))
        shards.append(
            Shard.of(sharded_parameters.create_sharded_parameter_from_config(empty, Group(ranks), split)),
        )
    return shards


@settings(max_examples=30, deadline=None)
@given(
    rows=st.lists(st.integers(1, 4), min_size=1, max_size=3),
    columns=st.integers(1, 5),
    split_dim=st.integers(0, 1),
    ranks=st.sampled_from([1, 2, 3, 4]),
    dtype=st.sampled_from([torch.float32, torch.bfloat16, torch.bool]),
)
def test_what_is_cut_joins_into_the_whole(rows, columns, split_dim, ranks, dtype):
    with pytest.MonkeyPatch.context() as monkeypatch:
        shards = shards_of(rows, columns, split_dim, ranks, monkeypatch)
    whole = (torch.randn(shards[0].whole_shape) > 0.5).to(dtype)
    whole[..., :1] = whole[..., :1].logical_not() if dtype == torch.bool else -0.0
    parts = [cut(whole, shard) for shard in shards]
    assert [tuple(part.shape) for part in parts] == [shard.shape for shard in shards]
    again = joined(parts, shards)
    assert torch.equal(again.view(torch.uint8), whole.view(torch.uint8))
    assert sum(part.sum(dtype=torch.float64) for part in parts) == whole.sum(dtype=torch.float64)


def test_what_every_rank_holds_whole_is_neither_cut_nor_copied():
    shard, whole = Shard((3, 2), (3, 2), ()), torch.randn(3, 2)
    assert cut(whole, shard).data_ptr() == joined([whole, whole], [shard, shard]).data_ptr() == whole.data_ptr()


def test_what_broadcasts_to_the_whole_is_cut_as_if_it_had_its_shape(monkeypatch):
    shards = shards_of([2, 3], 4, 0, 2, monkeypatch)
    rows = torch.arange(10)[:, None]
    for shard in shards:
        assert torch.equal(cut(rows, shard), cut(rows.expand(10, 4).contiguous(), shard))


def test_a_tensor_of_another_shape_is_refused(monkeypatch):
    (first, _) = shards_of([2], 4, 0, 2, monkeypatch)
    with pytest.raises(RuntimeError):
        cut(torch.zeros(5, 4), first)
