"""Attention against softmax written out in fp64, forward and every gradient."""

import math

import pytest
import torch

from tokenformer.kernels.attention import attend, attention_dtype

BATCH, LENGTH, SIZE = 2, 9, 8
TOLERANCE = {torch.float64: 1e-12, torch.float32: 2e-6, torch.bfloat16: 2e-2, torch.float16: 2e-3}


def written_out(query, key, value, mask, is_causal, scale):
    """softmax(scale query key^T) value in fp64."""
    query, key, value = (tensor.double() for tensor in (query, key, value))
    group = query.shape[1] // key.shape[1]
    key, value = (tensor.repeat_interleave(group, dim=1) for tensor in (key, value))
    score = query @ key.transpose(-1, -2) * (1 / math.sqrt(SIZE) if scale is None else scale)
    allowed = torch.ones(LENGTH, LENGTH).tril().bool() if is_causal else mask
    if allowed is not None:
        score = score.masked_fill(~allowed, -math.inf)
    return score.softmax(-1) @ value


def heads(count: int, dtype: torch.dtype, strided: bool) -> torch.Tensor:
    if strided:
        return torch.randn(LENGTH, BATCH, count, SIZE).to(dtype).permute(1, 2, 0, 3).requires_grad_()
    return torch.randn(BATCH, count, LENGTH, SIZE).to(dtype).requires_grad_()


@pytest.mark.parametrize("strided", [False, True])
@pytest.mark.parametrize("kind", ["causal", "mask", "whole"])
@pytest.mark.parametrize("key_value_heads", [1, 2, 4])
@pytest.mark.parametrize("dtype", list(TOLERANCE), ids=str)
def test_equals_softmax_written_out(dtype, key_value_heads, kind, strided):
    torch.manual_seed(0)
    inputs = [heads(count, dtype, strided) for count in (4, key_value_heads, key_value_heads)]
    mask = (torch.rand(BATCH, 1, LENGTH, LENGTH) > 0.3) | torch.eye(LENGTH).bool() if kind == "mask" else None
    scale = 0.7 if kind == "whole" else None
    incoming = torch.randn(BATCH, 4, LENGTH, SIZE).to(dtype)
    ours = attend(*inputs, mask=mask, is_causal=kind == "causal", scale=scale)
    expected = written_out(*inputs, mask, kind == "causal", scale)
    assert ours.dtype == dtype
    torch.testing.assert_close(ours.double(), expected, atol=TOLERANCE[dtype], rtol=TOLERANCE[dtype])
    gradients = torch.autograd.grad(ours, inputs, incoming)
    expected_gradients = torch.autograd.grad(expected, inputs, incoming.double())
    for gradient, whole in zip(gradients, expected_gradients, strict=True):
        torch.testing.assert_close(gradient, whole, atol=3 * TOLERANCE[dtype], rtol=3 * TOLERANCE[dtype])


def test_sixteen_bits_are_rounded_once_on_a_cpu():
    torch.manual_seed(0)
    inputs = [torch.randn(BATCH, 2, LENGTH, SIZE).bfloat16() for _ in range(3)]
    exact = attend(*(tensor.double() for tensor in inputs), is_causal=True)
    torch.testing.assert_close(attend(*inputs, is_causal=True).double(), exact, atol=1e-6, rtol=1.01 * 2**-8)


def test_the_dtype_inside():
    assert attention_dtype(torch.ones(1, dtype=torch.bfloat16)) == torch.float32
    assert attention_dtype(torch.ones(1, dtype=torch.float64)) == torch.float64
    assert attention_dtype(torch.ones(1, dtype=torch.bfloat16, device="meta")) == torch.bfloat16
