"""Row kernels on parameter tokens that are shared out unevenly over two processes: partial sums, all-reduce, apply."""

import functools

import pytest
import torch

from tests.support.kernel_comparison import FORMS, random_inputs, results, row_kernels
from tests.support.shards import on_two_ranks, reassembled, shard_of
from tokenformer.kernels import reference

pytest.importorskip("triton")

SEGMENTS = [7, 12]
SHARES = [[3, 4], [4, 8]]  # how many tokens of each segment a rank holds

pytestmark = pytest.mark.skipif(torch.cuda.is_available(), reason="the ranks of this test talk over the CPU")


def whole_inputs() -> list[torch.Tensor]:
    """x, keys, values and tau; one row of x is zero."""
    x, keys, values, tau = random_inputs((3,), 6, SEGMENTS, 4)
    x[2] = 0
    return [x, keys, values, tau]


def options(form) -> dict:
    return {"eps": 1e-3, "variant": form[0], "gelu": form[1]}


def inputs_of_rank(rank: int) -> list[torch.Tensor]:
    x, keys, values, tau = whole_inputs()
    return [x, *(shard_of(tensor, SEGMENTS, SHARES[0], rank) for tensor in (keys, values)), tau]


def results_of_rank(rank: int, group) -> list[dict[str, torch.Tensor]]:
    """Of every case, on this rank's tokens."""
    backend = functools.partial(row_kernels, segments=SHARES[rank], group=group)
    return [results(backend, inputs_of_rank(rank), **options(form)) for form in FORMS]


@pytest.fixture(scope="module")
def of_ranks(tmp_path_factory) -> list[list[dict[str, torch.Tensor]]]:
    return on_two_ranks(results_of_rank, tmp_path_factory.mktemp("shards"))


@pytest.mark.parametrize("number", range(len(FORMS)), ids=map("-".join, FORMS))
def test_two_uneven_shards_give_the_whole(of_ranks, number):
    form = FORMS[number]
    exact = results(
        reference.pattention, [tensor.double() for tensor in whole_inputs()], segments=SEGMENTS, **options(form)
    )
    for quantity, expected in exact.items():
        parts = [of_rank[number][quantity] for of_rank in of_ranks]
        if quantity == "tau":  # its gradient is whole on every rank
            assert torch.equal(*parts)
        found = parts[0] if quantity == "tau" else reassembled(quantity, parts, SHARES)
        torch.testing.assert_close(found.double(), expected, rtol=2e-5, atol=2e-5, msg=quantity)


def test_shards_that_do_not_share_their_statistics_give_something_else():
    """So the test above sees whether statistics are summed over the ranks."""
    for form in FORMS:
        apart = []
        for rank, share in enumerate(SHARES):
            *tensors, tau = inputs_of_rank(rank)
            apart.append(row_kernels(*tensors, tau=tau, segments=share, **options(form)))
        *tensors, tau = whole_inputs()
        whole = reference.pattention(*tensors, tau=tau, segments=SEGMENTS, **options(form))
        assert (sum(apart) - whole).abs().max() > 0.01
