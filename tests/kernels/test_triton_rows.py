"""The row kernels alone: what they write and what they do not touch, edges of the numbers, and their source."""

import ast
import inspect
import math

import pytest
import torch
from torch.nn import functional

from tests.support.kernel_comparison import FORMS

pytest.importorskip("triton")

from tokenformer.kernels import triton_rows, triton_theta
from tokenformer.kernels.reference import GELU_APPROXIMATIONS, _theta
from tokenformer.kernels.triton_theta import RowTheta

SEGMENTS = (5, 70, 3)
NAN = float("nan")


def exact_theta(score: torch.Tensor, tau: torch.Tensor, theta: RowTheta) -> torch.Tensor:
    parts = zip(score.split(list(theta.segments), dim=1), tau.to(score).unbind(), strict=True)
    approximate = GELU_APPROXIMATIONS[theta.gelu]
    return torch.cat([_theta(part, scale, theta.eps, theta.variant, approximate) for part, scale in parts], dim=1)


def inside_of_something_larger(matrix: torch.Tensor, fill: float) -> tuple[torch.Tensor, torch.Tensor]:
    """A matrix of the same size as a window of one filled with a number, and the latter."""
    around = matrix.new_full((matrix.shape[0] + 2, matrix.shape[1] + 7), fill)
    return around[1:-1, 3:-4], around


def assert_untouched_around(window: torch.Tensor, around: torch.Tensor) -> None:
    assert window.isfinite().all()
    assert around.isnan().sum() == around.numel() - window.numel()


@pytest.fixture(params=["one step", "two steps"])
def steps(request, monkeypatch):
    if request.param == "two steps":
        monkeypatch.setattr(triton_theta, "WIDEST_IN_REGISTERS", 0)
        monkeypatch.setattr(triton_theta, "TILE", 64)


@pytest.fixture
def matrices(device) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """A score and dA as windows of larger matrices full of NaN, and tau."""
    torch.manual_seed(0)
    score, grad = (inside_of_something_larger(torch.empty(4, sum(SEGMENTS), device=device), NAN)[0] for _ in range(2))
    return score.normal_(), grad.normal_(), torch.tensor([1.5, 0.7, 2.0], dtype=torch.float64, device=device)


@pytest.mark.usefixtures("steps")
@pytest.mark.parametrize("form", FORMS, ids="-".join)
def test_windows_of_larger_matrices_are_filled_and_nothing_around_them(form, matrices):
    theta, (score, grad, tau) = RowTheta(SEGMENTS, 1e-6, *form), matrices
    exact_score = score.double().requires_grad_()
    exact = exact_theta(exact_score, tau, theta)
    (exact_grad,) = torch.autograd.grad(exact, exact_score, grad.double())
    kept = score.clone()
    weights, around_weights = inside_of_something_larger(score, NAN)
    weights_again, around_weights_again = inside_of_something_larger(score, NAN)
    statistics = theta.forward(score, tau, out=weights)
    dots = theta.backward_(grad, score, statistics, tau, out=weights_again)
    assert torch.equal(score, kept)
    assert_untouched_around(weights, around_weights)
    assert_untouched_around(weights_again, around_weights_again)
    assert_untouched_around(grad, grad._base)
    assert statistics.isfinite().all() and dots.isfinite().all()
    torch.testing.assert_close(weights.double(), exact.detach(), rtol=2e-6, atol=2e-6)
    torch.testing.assert_close(weights_again.double(), exact.detach(), rtol=2e-6, atol=2e-6)
    torch.testing.assert_close(grad.double(), exact_grad, rtol=5e-6, atol=5e-6)


@pytest.mark.usefixtures("steps")
@pytest.mark.parametrize("form", FORMS, ids="-".join)
def test_a_second_run_gives_the_same_bits_in_place_too(form, matrices):
    theta, (score, grad, tau) = RowTheta(SEGMENTS, 1e-6, *form), matrices
    weights, in_place = torch.empty_like(score), score.clone()
    statistics = theta.forward(score, tau, out=weights)
    assert torch.equal(theta.forward(in_place, tau, out=in_place), statistics)
    assert torch.equal(in_place, weights)
    weights_again, in_place, grad_in_place = torch.empty_like(score), score.clone(), grad.clone()
    dots = theta.backward_(grad, score, statistics, tau, out=weights_again)
    assert torch.equal(theta.backward_(grad_in_place, in_place, statistics, tau, out=in_place), dots)
    assert torch.equal(in_place, weights_again)
    assert torch.equal(grad_in_place, grad)


@pytest.mark.usefixtures("steps")
@pytest.mark.parametrize("value", [NAN, math.inf, -math.inf], ids=str)
@pytest.mark.parametrize("form", FORMS, ids="-".join)
def test_what_is_not_finite_spreads_as_in_the_reference(form, value, device):
    """To its own row and segment, and nowhere else."""
    theta = RowTheta((6, 70), 1e-6, *form)
    score = torch.randn(3, 76, device=device)
    score[1, 2], score[2, 70] = value, value
    tau = torch.tensor([1.0, 2.0], device=device)
    weights = torch.empty_like(score)
    theta.forward(score, tau, out=weights)
    expected = exact_theta(score, tau, theta)
    assert torch.equal(weights.isnan(), expected.isnan())
    torch.testing.assert_close(weights, expected, equal_nan=True, rtol=1e-5, atol=1e-5)


@pytest.mark.usefixtures("steps")
def test_softmax_of_rows_that_begin_with_minus_infinity(device):
    """The first tile of the row holds nothing else."""
    score = torch.randn(2, 130, device=device)
    score[:, :100] = -math.inf
    weights = torch.empty_like(score)
    RowTheta((130,), 0.0, "softmax", "erf").forward(score, torch.ones(1, device=device), out=weights)
    torch.testing.assert_close(weights, score.softmax(-1))


@pytest.mark.usefixtures("steps")
@pytest.mark.parametrize("form", FORMS, ids="-".join)
def test_zero_rows_are_finite_with_an_eps(form, device):
    theta = RowTheta((9,), 1e-6, *form)
    score, grad, tau = torch.zeros(2, 9, device=device), torch.randn(2, 9, device=device), torch.ones(1, device=device)
    weights = torch.full_like(score, NAN)
    statistics = theta.forward(score, tau, out=weights)
    dots = theta.backward_(grad, score, statistics, tau, out=weights)
    assert weights.isfinite().all() and grad.isfinite().all() and dots.isfinite().all()
    assert theta.variant == "softmax" or not weights.any()


def test_no_rows_at_all(device):
    theta, tau = RowTheta((9,), 1e-6, "l2_norm_gelu", "erf"), torch.ones(1, device=device)
    score = torch.empty(0, 9, device=device)
    statistics = theta.forward(score, tau, out=score)
    assert statistics.shape == theta.backward_(score, score, statistics, tau, out=None).shape == (0, 1)


@pytest.mark.parametrize("gelu", ["erf", "tanh"])
def test_gelu_and_its_derivative_are_as_accurate_as_fp32_is(gelu, device):
    """theta with r = 1, and c = 0 in the backward pass, is the GELU and nothing else."""
    theta = RowTheta((24001,), 0.0, "l2_norm_gelu", gelu)
    z, one = torch.linspace(-12, 12, 24001, device=device)[None], torch.ones(1, 1, device=device)
    exact_z = z.double().requires_grad_()
    exact = functional.gelu(exact_z, approximate=GELU_APPROXIMATIONS[gelu])
    (exact_slope,) = torch.autograd.grad(exact.sum(), exact_z)
    values, slope = torch.empty_like(z), torch.ones_like(z)
    theta.weights(z, one, one, out=values)
    tensors = {"score": z, "grad": slope, "weights": values, "statistics": one, "dots": 0 * one, "tau": one}
    strides = dict.fromkeys(("score_stride", "grad_stride", "weights_stride"), 24001)
    theta._launch("theta_grads", tensors, strides, WRITE_WEIGHTS=False)
    assert (values - exact).abs().max() < 1e-6
    assert (slope - exact_slope).abs().max() < {"erf": 1e-6, "tanh": 4e-6}[gelu]  # torch's own, in fp32: 6e-7 and 2e-6
    # Where the normal distribution has run out, nothing is left of the score either.
    tail = (z > -5.5) & (z < -3) if gelu == "erf" else z < -math.inf
    assert ((values - exact) / exact)[tail].abs().sum() / max(tail.sum(), 1) < 3e-3


def test_the_kernels_use_neither_atomics_nor_anything_that_triton_has_dropped():
    """Block pointers are gone from Triton 3.9; libdevice and assembly have no interpreter; atomics add in any order."""
    tree = ast.parse(inspect.getsource(triton_rows))
    names = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    names |= {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    assert {"load", "store", "program_id"} <= names
    forbidden = {"make_block_ptr", "advance", "libdevice", "inline_asm_elementwise", "autotune", "debug_barrier"}
    assert not names & forbidden
    assert not [name for name in names if name.startswith("atomic_")]
    axes = [call.args[0].value for call in ast.walk(tree) if isinstance(call, ast.Call) and is_program_id(call)]
    assert set(axes) == {0}  # the others end at 65,535 programs


def is_program_id(call: ast.Call) -> bool:
    return isinstance(call.func, ast.Attribute) and call.func.attr == "program_id"


def test_every_kernel_of_the_module_is_listed():
    kernels = {name for name, value in vars(triton_rows).items() if hasattr(value, "arg_names") and name[0] != "_"}
    assert kernels == set(triton_rows.KERNELS)
