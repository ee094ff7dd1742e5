"""Parameter tokens that are shared out unevenly over two gloo processes."""

from collections.abc import Callable, Sequence
from pathlib import Path

import torch
import torch.distributed
import torch.multiprocessing

RANKS = 2


def shard_of(tensor: torch.Tensor, segments: Sequence[int], of_first: Sequence[int], rank: int) -> torch.Tensor:
    """A rank's rows of every segment, segment after segment; the first rank has `of_first` of them."""
    parts = zip(tensor.split(segments), of_first, strict=True)
    return torch.cat([part[:first] if rank == 0 else part[first:] for part, first in parts])


def reassembled(quantity: str, parts: Sequence[torch.Tensor], shares: Sequence[Sequence[int]]) -> torch.Tensor:
    """What the shards say about the whole: partial sums are added, rows of tokens are put back into their places."""
    if quantity in ("output", "x"):
        return sum(parts)
    by_segment = zip(*(part.split(share) for part, share in zip(parts, shares, strict=True)), strict=True)
    return torch.cat([torch.cat(segment) for segment in by_segment])


def on_two_ranks(compute: Callable, folder: Path) -> list:
    """What a function of rank and group gives in each of two processes; a module has to hold it by its name."""
    torch.multiprocessing.spawn(_compute, args=(compute, folder), nprocs=RANKS)
    return [torch.load(folder / f"rank-{rank}.pt") for rank in range(RANKS)]


def _compute(rank: int, compute: Callable, folder: Path) -> None:
    store = (folder / "store").as_uri()
    torch.distributed.init_process_group("gloo", init_method=store, rank=rank, world_size=RANKS)
    torch.save(compute(rank, torch.distributed.group.WORLD), folder / f"rank-{rank}.pt")
    torch.distributed.destroy_process_group()
