"""Row kernels against the reference in float64: outputs and every gradient, in every form, mode, dtype and shape."""

import pytest
import torch

from tests.support.kernel_comparison import FORMS, QUANTITIES, error, random_inputs, results, row_kernels
from tokenformer.kernels import reference

pytest.importorskip("triton")

from tokenformer.kernels import triton_backend, triton_theta

SHAPES = {  # rows, d_in, segments, d_out
    "one segment": ((2, 4), 16, [24], 8),
    "no power of two anywhere": ((7,), 5, [13], 3),
    "segments of every size": ((5,), 7, [1, 30, 2, 9], 6),
    "aligned segments": ((4,), 8, [16, 32], 8),
    "one row": ((1,), 4, [3, 4], 5),
    "one token": ((3,), 4, [1], 2),
    "one feature": ((3,), 1, [6], 1),
    "wider than a block": ((2,), 8, [150], 4),
}
# On top of the error of eager torch in the same dtype. In Triton's interpreter fp32 becomes bf16 by cutting off, which
# is up to twice as far away as rounding. The gradient of tau is one sum over everything, of terms that nearly cancel.
SLACK = {torch.float32: 1e-6, torch.float16: 2e-4, torch.bfloat16: 3e-3}
SLACK_OF_TAU = {torch.float32: 1e-5, torch.float16: 5e-3, torch.bfloat16: 5e-2}


@pytest.fixture
def two_steps(monkeypatch):
    """As for rows too wide for the registers: statistics in one kernel, what follows in another, tile by tile."""
    monkeypatch.setattr(triton_theta, "WIDEST_IN_REGISTERS", 0)
    monkeypatch.setattr(triton_theta, "TILE", 64)


def assert_as_close_as_eager(inputs, options):
    exact = results(reference.pattention, [tensor.double() for tensor in inputs], **options)
    eager = results(reference.pattention, inputs, **options)
    ours = results(row_kernels, inputs, **options)
    for quantity in QUANTITIES:
        assert ours[quantity].dtype == eager[quantity].dtype
        assert ours[quantity].shape == eager[quantity].shape
        slack = SLACK_OF_TAU if quantity == "tau" else SLACK
        limit = error(eager[quantity], exact[quantity]) + slack[inputs[0].dtype]
        assert error(ours[quantity], exact[quantity]) <= limit, quantity


@pytest.mark.parametrize("form", FORMS, ids="-".join)
def test_every_form(form, device):
    variant, gelu = form
    inputs = random_inputs((2, 4), 8, [20, 7], 6, device=device)
    options = {"segments": [20, 7], "eps": 1e-2, "variant": variant, "gelu": gelu}
    assert_as_close_as_eager(inputs, options)


@pytest.mark.parametrize("dtype", SLACK, ids=str)
@pytest.mark.parametrize("variant", ["l2_norm_gelu", "gelu_l2_norm", "softmax"])
def test_every_dtype(variant, dtype, device):
    inputs = random_inputs((6,), 16, [33], 12, dtype, device)
    assert_as_close_as_eager(inputs, {"segments": [33], "eps": 1e-6, "variant": variant, "gelu": "erf"})


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_every_shape(shape, device):
    rows, d_in, segments, d_out = shape
    inputs = random_inputs(rows, d_in, segments, d_out, device=device)
    assert_as_close_as_eager(inputs, {"segments": segments, "eps": 1e-2, "variant": "l2_norm_gelu", "gelu": "erf"})


@pytest.mark.usefixtures("two_steps")
@pytest.mark.parametrize("form", FORMS, ids="-".join)
def test_every_form_in_two_steps(form, device):
    variant, gelu = form
    inputs = random_inputs((3,), 8, [150, 3], 6, device=device)
    assert_as_close_as_eager(inputs, {"segments": [150, 3], "eps": 1e-6, "variant": variant, "gelu": gelu})


@pytest.mark.parametrize("eps", [0.0, 1e-6, 1.0])
@pytest.mark.parametrize("variant", ["l2_norm_gelu", "gelu_l2_norm"])
def test_eps(variant, eps, device):
    inputs = random_inputs((4,), 6, [10], 5, device=device)
    assert_as_close_as_eager(inputs, {"segments": [10], "eps": eps, "variant": variant, "gelu": "erf"})


@pytest.mark.parametrize("wanted", [(0,), (1,), (2,), (3,), (0, 2), (1, 3)], ids=str)
def test_only_the_gradients_that_are_wanted(wanted, device):
    inputs = random_inputs((5,), 6, [4, 8], 7, device=device)
    options = {"segments": [4, 8], "eps": 1e-6, "variant": "l2_norm_gelu", "gelu": "erf"}
    everything = results(row_kernels, inputs, **options)
    leaves = [tensor.clone().requires_grad_(index in wanted) for index, tensor in enumerate(inputs)]
    output = row_kernels(*leaves[:3], tau=leaves[3], **options)
    incoming = torch.linspace(-1, 2, output.numel(), device=device).view_as(output)
    output.backward(incoming)
    for index, leaf in enumerate(leaves):
        if index in wanted:
            torch.testing.assert_close(leaf.grad, everything[QUANTITIES[index + 1]])
        else:
            assert leaf.grad is None


def test_the_score_is_kept_and_never_the_weights(device):
    inputs = random_inputs((9,), 6, [40], 7, device=device)
    options = {"segments": [40], "eps": 1e-6, "variant": "l2_norm_gelu", "gelu": "erf"}

    kept = []
    leaves = [tensor.clone().requires_grad_() for tensor in inputs]
    with torch.autograd.graph.saved_tensors_hooks(lambda tensor: kept.append(tensor) or tensor, lambda t: t):
        row_kernels(*leaves[:3], tau=leaves[3], **options)
    assert sum(tensor.shape == (9, 40) for tensor in kept) == 1


def test_a_group_is_each_of_its_members(device):
    """Query, key and value with different widths and segments, of one x."""
    x = random_inputs((2, 3), 6, [1], 1, device=device)[0]
    segments, widths = [[8], [5, 3], [4, 4, 1]], [7, 5, 5]
    members = [
        random_inputs((1,), 6, sizes, width, device=device, seed=seed)[1:]
        for seed, (sizes, width) in enumerate(zip(segments, widths, strict=True))
    ]
    leaves = [x, *(tensor for member in members for tensor in member)]
    leaves = [tensor.clone().requires_grad_() for tensor in leaves]
    x, keys, values, tau = leaves[0], leaves[1::3], leaves[2::3], leaves[3::3]
    options = {"eps": 1e-6, "variant": "l2_norm_gelu", "gelu": "erf"}
    together = triton_backend.grouped_pattention(x, keys, values, segments=segments, tau=tau, **options)
    apart = [
        reference.pattention(x, *member[:2], segments=sizes, tau=member[2], **options)
        for member, sizes in zip(zip(keys, values, tau, strict=True), segments, strict=True)
    ]
    for ours, expected in zip(together, apart, strict=True):
        torch.testing.assert_close(ours, expected, rtol=1e-5, atol=1e-5)
    ours, expected = (
        torch.autograd.grad(
            sum((number + 1.5) * output.square().sum() for number, output in enumerate(outputs)), leaves
        )
        for outputs in (together, apart)
    )
    for one, other in zip(ours, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)


def test_a_member_of_a_group_whose_output_nobody_reads(device):
    inputs = random_inputs((4,), 6, [8], 7, device=device)
    x, keys, values, tau = (tensor.clone().requires_grad_() for tensor in inputs)
    options = {"eps": 1e-6, "variant": "l2_norm_gelu", "gelu": "erf"}
    outputs = triton_backend.grouped_pattention(
        x, [keys, keys], [values, 2 * values], segments=[[8], [8]], tau=[tau, tau], **options
    )
    (ours,) = torch.autograd.grad(outputs[0].sum(), x)
    (expected,) = torch.autograd.grad(reference.pattention(x, keys, values, segments=[8], tau=tau, **options).sum(), x)
    torch.testing.assert_close(ours, expected, rtol=1e-5, atol=1e-5)
