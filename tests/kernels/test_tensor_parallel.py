"""Parameter tokens shared out unevenly over two gloo processes give what one process gives with all of them."""

import itertools
import math
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
import torch.distributed
import torch.multiprocessing

from tokenformer.kernels import pattention

SEGMENTS = [7, 12, 3]
SHARES = [[3, 4, 2], [4, 8, 1]]  # how many tokens of each segment a rank holds
VARIANTS = ["l2_norm_gelu", "gelu_l2_norm", "softmax"]
TAUS = ["fixed", "learned"]
CASES = list(itertools.product(VARIANTS, TAUS, [0.0, 1e-6], ["erf", "tanh"]))
QUANTITIES = ["output", "x", "keys", "values", "tau"]


def name_of(case) -> str:
    variant, tau, eps, gelu = case
    return f"{variant}, {tau} tau, eps {eps:g}, {gelu}"


def whole_inputs(case) -> list[torch.Tensor]:
    """x [2, 5, 6], keys [n, 6], values [n, 4] and tau [segments]; with an eps one row of x is zero."""
    generator = torch.Generator().manual_seed(CASES.index(case))
    shapes = (2, 5, 6), (sum(SEGMENTS), 6), (sum(SEGMENTS), 4)
    x, keys, values = (torch.randn(shape, generator=generator, dtype=torch.float64) for shape in shapes)
    if case[2] > 0:
        x[1, 3] = 0
    tau = torch.tensor([math.sqrt(7), 1.5, 2.25], dtype=torch.float64)
    return [x, keys, values, tau]


def results(case, inputs, **options) -> dict[str, torch.Tensor]:
    """The output and the gradients of everything that goes in, by name."""
    variant, tau_kind, eps, gelu = case
    x, keys, values, tau = (tensor.detach().clone().requires_grad_() for tensor in inputs)
    given = tau if tau_kind == "learned" else tau.tolist()
    output = pattention(x, keys, values, tau=given, eps=eps, variant=variant, gelu=gelu, **options)
    (output * torch.linspace(-1, 2, output.numel(), dtype=output.dtype).view_as(output)).sum().backward()
    made = {"output": output.detach(), "x": x.grad, "keys": keys.grad, "values": values.grad, "tau": tau.grad}
    return {name: tensor for name, tensor in made.items() if tensor is not None}


def shard_of(tensor: torch.Tensor, rank: int) -> torch.Tensor:
    """A rank's rows of every segment, segment after segment."""
    parts = zip(tensor.split(SEGMENTS), SHARES[0], strict=True)
    return torch.cat([part[:first] if rank == 0 else part[first:] for part, first in parts])


def compute_on_a_shard(rank: int, folder: str) -> None:
    """Runs in a process of its own: every case on this rank's tokens, written to a file."""
    store = Path(folder, "store").as_uri()
    torch.distributed.init_process_group("gloo", init_method=store, rank=rank, world_size=len(SHARES))
    options = {"segments": SHARES[rank], "backend": "torch", "group": torch.distributed.group.WORLD}
    found = {}
    for case in CASES:
        x, keys, values, tau = whole_inputs(case)
        found[name_of(case)] = results(case, [x, shard_of(keys, rank), shard_of(values, rank), tau], **options)
    torch.save(found, Path(folder, f"rank-{rank}.pt"))
    torch.distributed.destroy_process_group()


@pytest.fixture(scope="module")
def of_ranks(tmp_path_factory) -> list[dict[str, dict[str, torch.Tensor]]]:
    """What each of the two processes found, by case."""
    folder = tmp_path_factory.mktemp("shards")
    torch.multiprocessing.spawn(compute_on_a_shard, args=(str(folder),), nprocs=len(SHARES))
    return [torch.load(folder / f"rank-{rank}.pt") for rank in range(len(SHARES))]


def reassembled(quantity: str, parts: list[torch.Tensor]) -> torch.Tensor:
    """What the shards say about the whole: partial sums are added, rows of tokens are put back into their places."""
    if quantity in ("output", "x"):
        return sum(parts)
    by_segment = zip(*(part.split(share) for part, share in zip(parts, SHARES, strict=True)), strict=True)
    return torch.cat([torch.cat(segment) for segment in by_segment])


@pytest.mark.parametrize("case", CASES, ids=name_of)
def test_two_uneven_shards_give_the_whole(of_ranks, case):
    whole = results(case, whole_inputs(case), segments=SEGMENTS, backend="reference")
    first, second = (found[name_of(case)] for found in of_ranks)
    assert list(first) == list(second) == list(whole) == QUANTITIES[: 5 if case[1] == "learned" else 4]
    for quantity, expected in whole.items():
        assert expected.abs().max() > 0.01, f"{quantity} is too small to be compared"
        parts = [first[quantity], second[quantity]]
        if quantity == "tau":
            for part in parts:
                torch.testing.assert_close(part, expected, rtol=1e-12, atol=1e-12, msg="tau on each rank")
        else:
            found = reassembled(quantity, parts)
            torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12, msg=quantity)


@pytest.mark.parametrize("variant", VARIANTS)
def test_shards_that_do_not_share_their_statistics_give_something_else(variant):
    """So the test above sees whether statistics are summed over the ranks."""
    case = (variant, "learned", 1e-6, "erf")
    x, keys, values, tau = whole_inputs(case)
    apart = [
        results(case, [x, shard_of(keys, rank), shard_of(values, rank), tau], segments=share)["output"]
        for rank, share in enumerate(SHARES)
    ]
    whole = results(case, [x, keys, values, tau], segments=SEGMENTS)["output"]
    assert (sum(apart) - whole).abs().max() > 0.01


def test_the_reference_refuses_shards():
    x, keys, values, _ = whole_inputs(CASES[0])
    with pytest.raises(ValueError, match="does not shard"):
        pattention(x, keys, values, backend="reference", group=SimpleNamespace(size=lambda: 2))
