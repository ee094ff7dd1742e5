"""The operators as torch sees them: schema and gradients, compiled whole, checkpointed by name, nothing altered."""

import functools

import pytest
import torch
from torch._dynamo.testing import CompileCounterWithBackend
from torch.utils.checkpoint import CheckpointPolicy, checkpoint, create_selective_checkpoint_contexts

from tests.support.kernel_comparison import random_inputs, results, row_kernels
from tokenformer.kernels import reference

pytest.importorskip("triton")

from tokenformer.kernels import triton_backend

SEGMENTS = [9, 4]
OPTIONS = {"segments": SEGMENTS, "eps": 1e-6, "variant": "l2_norm_gelu", "gelu": "erf"}


@pytest.fixture
def inputs(device) -> list[torch.Tensor]:
    """x [2, 3, 6], keys, values [13, 5] and tau, all wanting a gradient."""
    return [tensor.requires_grad_() for tensor in random_inputs((2, 3), 6, SEGMENTS, 5, device=device)]


def layer(x, keys, values, tau):
    return row_kernels(x, keys, values, tau=tau, **OPTIONS)


def loss(output: torch.Tensor) -> torch.Tensor:
    return (output * torch.linspace(-1, 2, output.numel(), device=output.device).view_as(output)).sum()


def test_opcheck_of_both_operators(inputs):
    operator, settings = triton_backend.pattention_operator, [SEGMENTS, 1e-6, "l2_norm_gelu", "erf", ""]
    x, keys, values, tau = (tensor.detach() for tensor in inputs)
    x = x.flatten(0, 1)
    assert set(torch.library.opcheck(operator, [x, keys, [values], tau, *settings, False]).values()) == {"SUCCESS"}
    trained = [tensor.clone().requires_grad_() for tensor in (x, keys, values, tau)]
    arguments = [*trained[:2], [trained[2]], trained[3], *settings, True]
    assert set(torch.library.opcheck(operator, arguments).values()) == {"SUCCESS"}
    outputs, score, statistics = operator(x, keys, [values], tau, *settings, True)
    arguments = [[torch.ones_like(outputs[0])], x, keys, [values], tau, score, statistics, *settings]
    for needed in ([True] * 4, [False, True, False, False]):
        checks = torch.library.opcheck(triton_backend.pattention_backward_operator, [*arguments, needed])
        assert set(checks.values()) == {"SUCCESS"}


def test_compiled_whole_it_computes_the_same(inputs):
    torch.compiler.reset()
    compiled = torch.compile(layer, fullgraph=True, backend="aot_eager")
    ours, expected = compiled(*inputs), layer(*inputs)
    assert torch.equal(ours, expected)
    for one, other in zip(
        torch.autograd.grad(loss(ours), inputs), torch.autograd.grad(loss(expected), inputs), strict=True
    ):
        assert torch.equal(one, other)


def test_another_number_of_rows_is_not_compiled_again(inputs):
    torch.compiler.reset()
    counter = CompileCounterWithBackend("aot_eager")
    compiled = torch.compile(layer, fullgraph=True, backend=counter, dynamic=True)
    x, *others = inputs
    counts = []
    for rows in (7, 8, 11):  # sizes that no other dimension has
        longer = x.detach()[:1].repeat(rows, 1, 1)
        assert torch.equal(compiled(longer, *others), layer(longer, *others))
        counts.append(counter.frame_count)
    assert counts[0] > 0 and len(set(counts)) == 1


def test_selective_checkpointing_sees_the_operator_by_name(inputs, monkeypatch):
    forward, runs = triton_backend.RowTheta.forward, []
    monkeypatch.setattr(
        triton_backend.RowTheta, "forward", lambda *args, **options: runs.append(1) or forward(*args, **options)
    )

    def runs_and_gradients(policy) -> tuple[int, tuple[torch.Tensor, ...]]:
        runs.clear()
        contexts = functools.partial(create_selective_checkpoint_contexts, policy)
        output = checkpoint(layer, *inputs, use_reentrant=False, context_fn=contexts)
        return len(runs), torch.autograd.grad(loss(output), inputs)

    def keep_ours(_context, op, *args, **kwargs):
        ours = op == torch.ops.tokenformer.pattention.default
        return CheckpointPolicy.MUST_SAVE if ours else CheckpointPolicy.PREFER_RECOMPUTE

    def keep_nothing(*args, **kwargs):
        return CheckpointPolicy.PREFER_RECOMPUTE

    expected = torch.autograd.grad(loss(layer(*inputs)), inputs)
    for policy, again in ((keep_ours, 1), (keep_nothing, 2)):
        _, gradients = runs_and_gradients(policy)
        assert len(runs) == again
        assert all(torch.equal(ours, other) for ours, other in zip(gradients, expected, strict=True))


def test_a_second_derivative_is_refused_and_never_wrong(inputs):
    (first,) = torch.autograd.grad(loss(layer(*inputs)), inputs[0], create_graph=True)
    with pytest.raises(RuntimeError, match="once differentiable; choose kernel 'reference'"):
        first.sum().backward()


def test_function_transforms_are_refused_and_never_wrong(inputs):
    x, *others = (tensor.detach() for tensor in inputs)
    with pytest.raises(RuntimeError):
        torch.func.grad(lambda x: loss(layer(x, *others)))(x)


def test_backward_twice_gives_the_same_and_nothing_is_altered(inputs):
    kept = []
    with torch.autograd.graph.saved_tensors_hooks(
        lambda tensor: kept.append((tensor, tensor.clone())) or tensor, lambda tensor: tensor
    ):
        result = loss(layer(*inputs))
    copies = [tensor.detach().clone() for tensor in inputs]
    first = torch.autograd.grad(result, inputs, retain_graph=True)
    second = torch.autograd.grad(result, inputs)
    assert all(torch.equal(one, other) for one, other in zip(first, second, strict=True))
    assert all(torch.equal(tensor, copy) for tensor, copy in zip(inputs, copies, strict=True))
    assert len(kept) > 5 and all(torch.equal(tensor, copy) for tensor, copy in kept)


def strided(matrix: torch.Tensor) -> dict[str, torch.Tensor]:
    """The same numbers in other places of memory, or as near as that comes."""
    return {
        "transposed": matrix.T.contiguous().T,
        "sliced": torch.cat([matrix, matrix], dim=1)[:, : matrix.shape[1]],
        "every other row": matrix.repeat_interleave(2, dim=0)[::2],
        "expanded": matrix[:1].expand_as(matrix),
        "an offset": torch.cat([matrix.new_zeros(1), matrix.flatten()])[1:].view_as(matrix),
    }


@pytest.mark.parametrize("strides", strided(torch.zeros(2, 2)))
def test_inputs_and_incoming_gradients_of_any_strides(strides, device):
    inputs = random_inputs((6,), 6, SEGMENTS, 5, device=device)
    x, keys, values = (strided(tensor)[strides] for tensor in inputs[:3])
    leaves = [tensor.detach().requires_grad_() for tensor in (x, keys, values)]
    incoming = strided(torch.randn(6, 5, device=device))[strides]
    gradients = [
        torch.autograd.grad(backend(*leaves, tau=inputs[3], **OPTIONS), leaves, incoming)
        for backend in (row_kernels, reference.pattention)
    ]
    for ours, expected in zip(*gradients, strict=True):
        torch.testing.assert_close(ours, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("strides", ["expanded", "every other one"])
def test_tau_of_any_stride(strides, inputs):
    x, keys, values, tau = (tensor.detach() for tensor in inputs)
    tau = tau[:1].expand(2) if strides == "expanded" else torch.stack([tau, -tau], dim=1).flatten()[::2]
    assert not tau.is_contiguous()
    expected = reference.pattention(x, keys, values, tau=tau, **OPTIONS)
    torch.testing.assert_close(layer(x, keys, values, tau), expected, rtol=1e-5, atol=1e-5)


def test_gradients_that_come_from_a_concatenation(inputs):
    def gradients(backend):
        outputs = [backend(*inputs[:3], tau=inputs[3], **OPTIONS) for _ in range(2)]
        return torch.autograd.grad(loss(torch.cat(outputs, dim=-1)), inputs)

    for ours, expected in zip(gradients(row_kernels), gradients(reference.pattention), strict=True):
        torch.testing.assert_close(ours, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("dtypes", [("float32",) * 2, ("bfloat16", "float32"), ("float32", "bfloat16")], ids=str)
@pytest.mark.parametrize("outer", ["float16", None], ids=["autocast", "none"])
def test_one_rule_of_dtypes(outer, dtypes, device):
    """The output is of autocast's dtype, else of x's; a gradient of its own tensor's."""
    inputs = random_inputs((4,), 6, SEGMENTS, 5, device=device)
    dtype = {"x": getattr(torch, dtypes[0]), "parameters": getattr(torch, dtypes[1])}
    given = [inputs[0].to(dtype["x"]), *(tensor.to(dtype["parameters"]) for tensor in inputs[1:])]
    leaves = [tensor.requires_grad_() for tensor in given]
    wanted = getattr(torch, outer) if outer else dtype["x"]
    with torch.autocast(device, dtype=wanted, enabled=outer is not None):
        output = layer(*leaves)
    assert output.dtype == wanted
    cast = [tensor.detach().to(wanted).requires_grad_() for tensor in leaves]
    expected = layer(*cast)
    assert torch.equal(output, expected)
    incoming = torch.randn_like(output)
    with torch.autocast(device, dtype=torch.bfloat16):
        gradients = torch.autograd.grad(output, leaves, incoming)
    for ours, other, leaf in zip(gradients, torch.autograd.grad(expected, cast, incoming), leaves, strict=True):
        assert ours.dtype == leaf.dtype
        torch.testing.assert_close(ours, other.to(leaf.dtype), rtol=1e-2, atol=1e-2)


def test_without_gradients_nothing_is_kept_and_the_result_is_the_same(inputs):
    with torch.no_grad():
        output = layer(*inputs)
    assert not output.requires_grad
    assert torch.equal(output, layer(*inputs))


def test_no_rows(inputs):
    x, *others = inputs
    empty = x.detach()[:0].requires_grad_()
    output = layer(empty, *others)
    assert output.shape == (0, 3, 5)
    gradients = torch.autograd.grad(loss(output), [empty, *others])
    assert gradients[0].shape == (0, 3, 6)
    assert not any(gradient.any() for gradient in gradients)


def test_float64_and_scattered_tensors_are_refused(inputs):
    with pytest.raises(ValueError, match="choose torch or reference"):
        layer(*(tensor.double() for tensor in inputs))
    with pytest.raises(ValueError, match="move them to one device"):
        layer(*inputs[:3], inputs[3].detach().to("meta"))


def test_zero_rows_have_finite_gradients(inputs):
    zeros = [torch.zeros_like(inputs[0]), *(tensor.detach() for tensor in inputs[1:])]
    assert all(result.isfinite().all() for result in results(row_kernels, zeros, **OPTIONS).values())
