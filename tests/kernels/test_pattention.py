"""The backends against the reference, and the reference against its own definition."""

import math

import pytest
import torch
from torch.nn import functional

from tests.support.cases import refused
from tests.support.kernel_comparison import VARIANTS
from tokenformer.kernels import pattention

SHAPES = {"square": (6, 8, 12, 8), "ragged": (5, 7, 13, 3), "one_row": (1, 4, 2, 5), "one_token": (3, 4, 1, 2)}


def tensors(rows, d_in, n, d_out, dtype=torch.float64, seed=0):
    generator = torch.Generator().manual_seed(seed)
    shapes = (rows, d_in), (n, d_in), (n, d_out)
    return [torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype).requires_grad_() for shape in shapes]


def split(n):
    return [n] if n < 3 else [n // 3, n - n // 3]


def gradients(backend, inputs, **options):
    inputs = [tensor.detach().clone().requires_grad_() for tensor in inputs]
    output = pattention(*inputs, backend=backend, **options)
    weights = torch.linspace(-1, 2, output.numel(), dtype=output.dtype).view_as(output)
    (output * weights).sum().backward()
    return [output.detach(), *(tensor.grad for tensor in inputs)]


@pytest.mark.parametrize("gelu", ["erf", "tanh"])
@pytest.mark.parametrize("eps", [0.0, 1e-6, 1.0])
@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())
def test_torch_backend_equals_reference_in_value_and_every_gradient(shape, variant, eps, gelu):
    options = {"segments": split(shape[2]), "eps": eps, "variant": variant, "gelu": gelu}
    pairs = zip(
        gradients("torch", tensors(*shape), **options),
        gradients("reference", tensors(*shape), **options),
        strict=True,
    )
    for ours, expected in pairs:
        torch.testing.assert_close(ours, expected, rtol=1e-10, atol=1e-11)


@pytest.mark.parametrize("eps", [1e-6, 1e-2])
@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("backend", ["torch", "reference"])
def test_gradcheck_with_a_learned_tau(backend, variant, eps):
    tau = torch.tensor([1.3, 2.1], dtype=torch.float64, requires_grad=True)
    options = {"segments": [2, 4], "eps": eps, "variant": variant, "backend": backend}
    assert torch.autograd.gradcheck(
        lambda *args: pattention(*args[:3], tau=args[3], **options), [*tensors(3, 4, 6, 5), tau]
    )


def test_reference_is_twice_differentiable_and_the_torch_backend_says_that_it_is_not():
    inputs = tensors(2, 3, 4, 3)
    assert torch.autograd.gradgradcheck(lambda *args: pattention(*args, backend="reference"), inputs)
    (first,) = torch.autograd.grad(pattention(*inputs, backend="torch").sum(), inputs[0], create_graph=True)
    with pytest.raises(RuntimeError, match="once differentiable"):
        (first.sum() + inputs[0].sum()).backward()


def official_weights(score, variant, n):
    """The three branches of the official code (megatron/model/tokenformer.py), in plain torch."""
    if variant == "softmax":
        return score.exp() / score.exp().sum(-1, keepdim=True) * n
    if variant == "gelu_l2_norm":
        activated = functional.gelu(score)
        return activated / activated.norm(dim=-1, keepdim=True) * math.sqrt(n)
    return functional.gelu(score / score.norm(dim=-1, keepdim=True) * math.sqrt(n))


@pytest.mark.parametrize("variant", VARIANTS)
def test_official_formula_with_eps_zero(variant):
    x, keys, values = tensors(9, 16, 24, 16)
    official = official_weights(x @ keys.T, variant, 24) @ values
    torch.testing.assert_close(pattention(x, keys, values, eps=0.0, variant=variant), official, rtol=1e-12, atol=1e-12)


def test_softmax_of_large_scores_does_not_overflow():
    x, keys, values = (tensor.float() * 100 for tensor in tensors(4, 6, 8, 6))
    assert pattention(x, keys, values, variant="softmax").isfinite().all()


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("backend", ["torch", "reference"])
def test_zero_rows_and_zero_keys_are_finite_in_value_and_gradient(backend, variant):
    x, keys, values = tensors(4, 6, 8, 6)
    for changed in ([torch.zeros_like(x), keys, values], [x, torch.zeros_like(keys), values]):
        results = gradients(backend, changed, variant=variant)
        assert variant == "softmax" or not results[0].any()
        assert all(result.isfinite().all() for result in results)


@pytest.mark.parametrize("backend", ["torch", "reference"])
@pytest.mark.parametrize(("zero", "options"), [("keys", {"tau": math.sqrt(10)}), ("values", {"segments": [10, 6]})])
def test_zero_keys_with_the_stored_tau_and_zero_values_in_a_segment_of_their_own_change_nothing(backend, zero, options):
    x, keys, values = tensors(7, 8, 10, 8)
    new = {name: torch.randn(6, 8, dtype=keys.dtype) for name in ("keys", "values")} | {zero: keys.new_zeros(6, 8)}
    before = pattention(x, keys, values, backend=backend)
    grown = torch.cat([keys, new["keys"]]), torch.cat([values, new["values"]])
    after = pattention(x, *grown, **options, backend=backend)
    torch.testing.assert_close(after, before, rtol=1e-14, atol=1e-14)


def test_inputs_of_any_stride():
    x, keys, values = tensors(6, 8, 12, 8)
    views = [x.detach().T.contiguous().T, keys.detach().repeat(2, 1)[::2], values.detach().repeat(1, 2)[:, :8]]
    expected = pattention(x, views[1], values, backend="reference")
    torch.testing.assert_close(pattention(*views, backend="torch"), expected)
    gradient = torch.ones(1, 8, dtype=x.dtype).expand(6, 8)
    (ours,) = torch.autograd.grad(pattention(x, keys, values, backend="torch"), x, gradient)
    (theirs,) = torch.autograd.grad(pattention(x, keys, values, backend="reference"), x, gradient)
    torch.testing.assert_close(ours, theirs)


def test_backward_twice_gives_the_same_and_inputs_stay_as_they_were():
    inputs = tensors(5, 6, 7, 4)
    copies = [tensor.detach().clone() for tensor in inputs]
    output = pattention(*inputs, backend="torch").sum()
    first = torch.autograd.grad(output, inputs, retain_graph=True)
    second = torch.autograd.grad(output, inputs)
    for one, other in zip(first, second, strict=True):
        assert torch.equal(one, other)
    for tensor, copy in zip(inputs, copies, strict=True):
        assert torch.equal(tensor, copy)


def test_sixteen_bit_inputs_are_closer_to_float64_than_eager_sixteen_bit():
    x, keys, values = (tensor.detach() for tensor in tensors(64, 32, 48, 32, dtype=torch.bfloat16))
    exact = pattention(x.double(), keys.double(), values.double(), backend="reference")
    score = x @ keys.T
    eager = functional.gelu(score / score.norm(dim=-1, keepdim=True) * math.sqrt(48)) @ values
    ours = pattention(x, keys, values, backend="torch")
    assert ours.dtype == torch.bfloat16
    assert (ours.double() - exact).norm() < (eager.double() - exact).norm()


@refused(
    ({"segments": [3, 4]}, "do not cut 12"),
    ({"segments": [6, 6], "tau": [1.0]}, "as many tau"),
    ({"gelu": "relu"}, "choose one of erf, tanh"),
    ({"variant": "relu"}, "choose one of l2_norm_gelu"),
    ({"backend": "cuda"}, "choose one of auto"),
    ({"eps": -1.0}, "eps"),
    error=ValueError,
)
def test_arguments_that_do_not_fit_are_refused(change):
    pattention(*tensors(6, 8, 12, 8), **change)


def test_shapes_that_do_not_fit_are_refused():
    x, keys, values = tensors(6, 8, 12, 8)
    with pytest.raises(ValueError, match="7 features"):
        pattention(x[:, :7], keys, values)
    with pytest.raises(ValueError, match="need one n"):
        pattention(x, keys, values[:5])
