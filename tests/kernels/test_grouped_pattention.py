"""A group of Pattentions of one x is each of them alone, on two gloo processes too, with statistics summed once."""

import math
from collections import Counter

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from tests.support.kernel_comparison import CASES, name_of
from tests.support.shards import on_two_ranks, reassembled, shard_of
from tokenformer.kernels import grouped_pattention, pattention

SEGMENTS = [[7, 12, 3], [5, 5, 5], [9]]  # of each member
WIDTHS = [6, 4, 4]  # d_out of each member
SHARES = [[[3, 4, 2], [2, 2, 2], [8]], [[4, 8, 1], [3, 3, 3], [1]]]  # tokens of each segment on each of two ranks
SHARDED_CASES = [case for case in CASES if case[1] == "learned" and case[3] == "erf"]


class Calls(TorchDispatchMode):
    """Counts the operators that run."""

    def __init__(self):
        super().__init__()
        self.counts = Counter()

    def __torch_dispatch__(self, operator, types, args=(), kwargs=None):
        self.counts[operator.overloadpacket.__name__] += 1
        return operator(*args, **(kwargs or {}))


def group_inputs(case) -> dict[str, list[torch.Tensor]]:
    """x [2, 5, 6], and keys, values and tau of each member; with an eps one row of x is zero."""
    generator = torch.Generator().manual_seed(CASES.index(case))

    def random(*shape):
        return torch.randn(shape, generator=generator, dtype=torch.float64)

    x = random(2, 5, 6)
    if case[2] > 0:
        x[1, 3] = 0
    return {
        "x": [x],
        "keys": [random(sum(sizes), 6) for sizes in SEGMENTS],
        "values": [random(sum(sizes), width) for sizes, width in zip(SEGMENTS, WIDTHS, strict=True)],
        "tau": [torch.linspace(1.5, 2.5, len(sizes), dtype=torch.float64) for sizes in SEGMENTS],
    }


def weighted(outputs) -> torch.Tensor:
    """One number that every element of every output has a share in, each another."""
    return sum(
        (output * torch.linspace(-1, 2 + i, output.numel()).view_as(output)).sum() for i, output in enumerate(outputs)
    )


def results(function, case, inputs, **options) -> dict[str, list[torch.Tensor]]:
    """The outputs, and the gradients of everything that goes in, by name."""
    variant, tau_kind, eps, gelu = case
    leaves = {name: [tensor.clone().requires_grad_() for tensor in tensors] for name, tensors in inputs.items()}
    tau = leaves["tau"] if tau_kind == "learned" else [tensor.tolist() for tensor in inputs["tau"]]
    outputs = function(
        leaves["x"][0], leaves["keys"], leaves["values"], tau=tau, eps=eps, variant=variant, gelu=gelu, **options
    )
    weighted(outputs).backward()
    if tau_kind == "fixed":
        del leaves["tau"]
    gradients = {name: [tensor.grad for tensor in tensors] for name, tensors in leaves.items()}
    return {"output": [output.detach() for output in outputs], **gradients}


def each_alone(x, keys, values, *, tau, segments, **options) -> list[torch.Tensor]:
    """The specification of a group: its members, one after the other, by the reference."""
    members = zip(keys, values, tau, segments, strict=True)
    return [pattention(x, k, v, tau=t, segments=s, backend="reference", **options) for k, v, t, s in members]


@pytest.mark.parametrize("backend", ["torch", "reference"])
@pytest.mark.parametrize("case", CASES, ids=name_of)
def test_a_group_is_its_members_alone_in_value_and_every_gradient(case, backend):
    ours = results(grouped_pattention, case, group_inputs(case), segments=SEGMENTS, backend=backend)
    expected = results(each_alone, case, group_inputs(case), segments=SEGMENTS)
    assert ours.keys() == expected.keys()
    for name, tensors in expected.items():
        torch.testing.assert_close(ours[name], tensors, rtol=1e-11, atol=1e-11, msg=name)


def test_segments_and_tau_are_whole_members_by_default():
    inputs = group_inputs(CASES[0])
    ours = grouped_pattention(inputs["x"][0], inputs["keys"], inputs["values"])
    for output, keys, values in zip(ours, inputs["keys"], inputs["values"], strict=True):
        tau = math.sqrt(len(keys))
        torch.testing.assert_close(output, pattention(inputs["x"][0], keys, values, tau=tau, backend="reference"))


def test_all_members_share_one_product_with_x_forward_and_backward():
    inputs = {name: [t.clone().requires_grad_() for t in tensors] for name, tensors in group_inputs(CASES[0]).items()}
    with Calls() as forward:
        outputs = grouped_pattention(inputs["x"][0], inputs["keys"], inputs["values"], backend="torch")
    total = weighted(outputs)
    with Calls() as backward:
        total.backward()
    assert forward.counts["mm"] == 1 + 3  # the score; A V of each member
    assert backward.counts["mm"] == 3 + 1 + 1 + 3  # dA of each member; dX; dK of all; dV of each member


@pytest.mark.parametrize("frozen", ["x", "keys", "values", "tau", "one member"])
def test_what_is_frozen_gets_no_gradient_and_the_rest_keeps_its_own(frozen):
    case = ("l2_norm_gelu", "learned", 1e-6, "erf")
    expected = results(grouped_pattention, case, group_inputs(case), segments=SEGMENTS, backend="torch")
    leaves = {name: [t.clone().requires_grad_() for t in tensors] for name, tensors in group_inputs(case).items()}
    still = leaves[frozen] if frozen in leaves else [leaves["keys"][1], leaves["values"][1]]
    for tensor in still:
        tensor.requires_grad_(False)
    outputs = grouped_pattention(
        leaves["x"][0], leaves["keys"], leaves["values"], tau=leaves["tau"], segments=SEGMENTS, backend="torch"
    )
    weighted(outputs).backward()
    for name, tensors in leaves.items():
        for tensor, gradient in zip(tensors, expected[name], strict=True):
            if tensor.requires_grad:
                torch.testing.assert_close(tensor.grad, gradient, rtol=1e-12, atol=1e-12)
            else:
                assert tensor.grad is None


def test_a_member_whose_output_is_not_used_gets_a_gradient_of_zero():
    inputs = group_inputs(CASES[0])
    keys = [tensor.requires_grad_() for tensor in inputs["keys"]]
    grouped_pattention(inputs["x"][0], keys, inputs["values"], backend="torch")[0].sum().backward()
    assert keys[0].grad.any()
    assert not keys[1].grad.any() and not keys[2].grad.any()


def test_gradients_of_members_may_be_changed_in_place():
    """As clipping does: they are parts of one product, and stay apart all the same."""
    inputs = group_inputs(CASES[0])
    keys = [tensor.requires_grad_() for tensor in inputs["keys"]]
    weighted(grouped_pattention(inputs["x"][0], keys, inputs["values"], backend="torch")).backward()
    before = keys[1].grad.clone()
    keys[0].grad.mul_(3)
    assert torch.equal(keys[1].grad, before)


def test_members_that_do_not_pair_up_are_refused():
    inputs = group_inputs(CASES[0])
    with pytest.raises(ValueError, match="there are 3, 2, 3 and 3"):
        grouped_pattention(inputs["x"][0], inputs["keys"], inputs["values"][:2])
    with pytest.raises(ValueError, match="there are 0, 0, 0 and 0"):
        grouped_pattention(inputs["x"][0], [], [])
    with pytest.raises(ValueError, match="do not cut 15"):
        grouped_pattention(inputs["x"][0], inputs["keys"], inputs["values"], segments=[[22], [14], [9]])


def results_of_rank(rank: int, group) -> dict[str, dict]:
    """Of every case, on this rank's tokens, and how often ranks were asked."""
    options = {"segments": SHARES[rank], "backend": "torch", "group": group}
    found = {}
    for case in SHARDED_CASES:
        inputs = group_inputs(case)
        for name in ("keys", "values"):
            inputs[name] = [shard_of(*of, rank) for of in zip(inputs[name], SEGMENTS, SHARES[0], strict=True)]
        with Calls() as calls:
            grouped_pattention(
                inputs["x"][0], inputs["keys"], inputs["values"], tau=inputs["tau"], variant=case[0], **options
            )
        forward = calls.counts["allreduce_"]
        with Calls() as calls:
            found[name_of(case)] = results(grouped_pattention, case, inputs, **options)
        found[name_of(case)]["all-reduces"] = forward, calls.counts["allreduce_"] - forward
    return found


@pytest.fixture(scope="module")
def of_ranks(tmp_path_factory) -> list[dict[str, dict]]:
    return on_two_ranks(results_of_rank, tmp_path_factory.mktemp("group-shards"))


@pytest.mark.parametrize("case", SHARDED_CASES, ids=name_of)
def test_uneven_shards_of_a_group_give_the_whole(of_ranks, case):
    expected = results(each_alone, case, group_inputs(case), segments=SEGMENTS)
    ranks = [found[name_of(case)] for found in of_ranks]
    for name, tensors in expected.items():
        for member, tensor in enumerate(tensors):
            parts = [rank[name][member] for rank in ranks]
            if name == "tau":
                torch.testing.assert_close(parts, [tensor, tensor], rtol=1e-11, atol=1e-11, msg="tau on each rank")
            else:
                found = reassembled(name, parts, [share[member] for share in SHARES])
                torch.testing.assert_close(found, tensor, rtol=1e-11, atol=1e-11, msg=f"{name} of member {member}")


@pytest.mark.parametrize("case", SHARDED_CASES, ids=name_of)
def test_statistics_of_a_group_are_summed_once_forward_and_once_backward(of_ranks, case):
    """Softmax asks twice forward: for the largest score, and for the sum."""
    for found in of_ranks:
        assert found[name_of(case)]["all-reduces"] == (2 if case[0] == "softmax" else 1, 1)
