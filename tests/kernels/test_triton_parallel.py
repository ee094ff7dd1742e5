"""Row kernels on parameter tokens that are shared out unevenly over two processes: partial sums, all-reduce, apply."""

import functools
from pathlib import Path

import pytest
import torch
import torch.distributed
import torch.multiprocessing

from tests.support.kernel_comparison import FORMS, random_inputs, results
from tokenformer.kernels import reference

pytest.importorskip("triton")

from tokenformer.kernels import triton_backend

SEGMENTS = [7, 12]
SHARES = [[3, 4], [4, 8]]  # how many tokens of each segment a rank holds
CASES = [*((form, {}) for form in FORMS), (FORMS[0], {"recompute": True, "chunk_rows": 2})]

pytestmark = pytest.mark.skipif(torch.cuda.is_available(), reason="the ranks of this test talk over the CPU")


def whole_inputs() -> list[torch.Tensor]:
    """x, keys, values and tau; one row of x is zero."""
    x, keys, values, tau = random_inputs((3,), 6, SEGMENTS, 4)
    x[2] = 0
    return [x, keys, values, tau]


def options(form) -> dict:
    return {"eps": 1e-3, "variant": form[0], "gelu": form[1]}


def shard_of(tensor: torch.Tensor, rank: int) -> torch.Tensor:
    """A rank's rows of every segment, segment after segment."""
    parts = zip(tensor.split(SEGMENTS), SHARES[0], strict=True)
    return torch.cat([part[:first] if rank == 0 else part[first:] for part, first in parts])


def compute_on_a_shard(rank: int, folder: str) -> None:
    """Runs in a process of its own: every case on this rank's tokens, written to a file."""
    store = Path(folder, "store").as_uri()
    torch.distributed.init_process_group("gloo", init_method=store, rank=rank, world_size=len(SHARES))
    backend = functools.partial(triton_backend.pattention, segments=SHARES[rank], group=torch.distributed.group.WORLD)
    x, keys, values, tau = whole_inputs()
    shard = [x, shard_of(keys, rank), shard_of(values, rank), tau]
    found = [results(backend, shard, **options(form), **mode) for form, mode in CASES]
    torch.save(found, Path(folder, f"rank-{rank}.pt"))
    torch.distributed.destroy_process_group()


@pytest.fixture(scope="module")
def of_ranks(tmp_path_factory) -> list[list[dict[str, torch.Tensor]]]:
    """What each of the two processes found, by case."""
    folder = tmp_path_factory.mktemp("shards")
    torch.multiprocessing.spawn(compute_on_a_shard, args=(str(folder),), nprocs=len(SHARES))
    return [torch.load(folder / f"rank-{rank}.pt") for rank in range(len(SHARES))]


def reassembled(quantity: str, parts: list[torch.Tensor]) -> torch.Tensor:
    """Partial sums are added, rows of tokens put back into their places; tau's gradient is whole on every rank."""
    if quantity == "tau":
        assert torch.equal(*parts)
        return parts[0]
    if quantity in ("output", "x"):
        return sum(parts)
    by_segment = zip(*(part.split(share) for part, share in zip(parts, SHARES, strict=True)), strict=True)
    return torch.cat([torch.cat(segment) for segment in by_segment])


@pytest.mark.parametrize("number", range(len(CASES)), ids=[f"{form} {mode}" for form, mode in CASES])
def test_two_uneven_shards_give_the_whole(of_ranks, number):
    form, _ = CASES[number]
    exact = results(
        reference.pattention, [tensor.double() for tensor in whole_inputs()], segments=SEGMENTS, **options(form)
    )
    for quantity, expected in exact.items():
        found = reassembled(quantity, [of_rank[number][quantity] for of_rank in of_ranks])
        torch.testing.assert_close(found.double(), expected, rtol=2e-5, atol=2e-5, msg=quantity)


def test_shards_that_do_not_share_their_statistics_give_something_else():
    """So the test above sees whether statistics are summed over the ranks."""
    x, keys, values, tau = whole_inputs()
    for form in FORMS:
        apart = [
            triton_backend.pattention(
                x, shard_of(keys, rank), shard_of(values, rank), tau=tau, segments=share, **options(form)
            )
            for rank, share in enumerate(SHARES)
        ]
        whole = reference.pattention(x, keys, values, tau=tau, segments=SEGMENTS, **options(form))
        assert (sum(apart) - whole).abs().max() > 0.01
