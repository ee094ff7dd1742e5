"""Parameter tokens shared out unevenly over two gloo processes give what one process gives with all of them."""

import math
from types import SimpleNamespace

import pytest
import torch

from tests.support.kernel_comparison import CASES, QUANTITIES, VARIANTS, name_of
from tests.support.shards import on_two_ranks, reassembled, shard_of
from tokenformer.kernels import pattention

SEGMENTS = [7, 12, 3]
SHARES = [[3, 4, 2], [4, 8, 1]]  # how many tokens of each segment a rank holds


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


def inputs_of_rank(case, rank: int) -> list[torch.Tensor]:
    x, keys, values, tau = whole_inputs(case)
    return [x, *(shard_of(tensor, SEGMENTS, SHARES[0], rank) for tensor in (keys, values)), tau]


def results_of_rank(rank: int, group) -> dict[str, dict[str, torch.Tensor]]:
    """Of every case, on this rank's tokens."""
    options = {"segments": SHARES[rank], "backend": "torch", "group": group}
    return {name_of(case): results(case, inputs_of_rank(case, rank), **options) for case in CASES}


@pytest.fixture(scope="module")
def of_ranks(tmp_path_factory) -> list[dict[str, dict[str, torch.Tensor]]]:
    return on_two_ranks(results_of_rank, tmp_path_factory.mktemp("shards"))


@pytest.mark.parametrize("case", CASES, ids=name_of)
def test_two_uneven_shards_give_the_whole(of_ranks, case):
    whole = results(case, whole_inputs(case), segments=SEGMENTS, backend="reference")
    first, second = (found[name_of(case)] for found in of_ranks)
    assert [*first] == [*second] == [*whole] == [*QUANTITIES[: 5 if case[1] == "learned" else 4]]
    for quantity, expected in whole.items():
        assert expected.abs().max() > 0.01, f"{quantity} is too small to be compared"
        parts = [first[quantity], second[quantity]]
        if quantity == "tau":
            for part in parts:
                torch.testing.assert_close(part, expected, rtol=1e-12, atol=1e-12, msg="tau on each rank")
        else:
            found = reassembled(quantity, parts, SHARES)
            torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12, msg=quantity)


@pytest.mark.parametrize("variant", VARIANTS)
def test_shards_that_do_not_share_their_statistics_give_something_else(variant):
    """So the test above sees whether statistics are summed over the ranks."""
    case = (variant, "learned", 1e-6, "erf")
    apart = [results(case, inputs_of_rank(case, rank), segments=SHARES[rank])["output"] for rank in (0, 1)]
    whole = results(case, whole_inputs(case), segments=SEGMENTS)["output"]
    assert (sum(apart) - whole).abs().max() > 0.01


def test_the_reference_refuses_shards():
    x, keys, values, _ = whole_inputs(CASES[0])
    with pytest.raises(ValueError, match="does not shard"):
        pattention(x, keys, values, backend="reference", group=SimpleNamespace(size=lambda: 2))
