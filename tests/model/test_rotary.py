"""Rotary positions against multiplication of complex numbers in fp64."""

import pytest
import torch

from tokenformer.model.rotary import RotaryPosition


def turned_as_complex(heads: torch.Tensor, size: int, base: float) -> torch.Tensor:
    """Feature i and feature i + size / 2 as the parts of a number that position p turns by p * base**(-2 i / size)."""
    half = size // 2
    pairs = torch.complex(heads[..., :half], heads[..., half:size])
    positions = torch.arange(heads.shape[-2], dtype=torch.float64)
    angles = torch.outer(positions, base ** (-torch.arange(half, dtype=torch.float64) * 2 / size))
    pairs = pairs * torch.polar(torch.ones_like(angles), angles)
    return torch.cat([pairs.real, pairs.imag, heads[..., size:]], dim=-1)


@pytest.mark.parametrize("strided", [False, True])
@pytest.mark.parametrize("size", [2, 4, 8])
@pytest.mark.parametrize("base", [10_000.0, 500_000.0])
def test_turns_pairs_as_complex_numbers(size, base, strided):
    torch.manual_seed(0)
    heads = torch.randn(7, 2, 3, 8, dtype=torch.float64).permute(1, 2, 0, 3)
    heads = (heads if strided else heads.contiguous()).requires_grad_()
    incoming = torch.randn(2, 3, 7, 8, dtype=torch.float64)
    ours, expected = RotaryPosition(size, base)(heads), turned_as_complex(heads, size, base)
    torch.testing.assert_close(ours, expected, atol=1e-12, rtol=1e-12)
    (gradient,) = torch.autograd.grad(ours, heads, incoming)
    (expected_gradient,) = torch.autograd.grad(expected, heads, incoming)
    torch.testing.assert_close(gradient, expected_gradient, atol=1e-12, rtol=1e-12)


def test_derivatives_of_any_order():
    heads = torch.randn(1, 2, 3, 6, dtype=torch.float64, requires_grad=True)
    rotary = RotaryPosition(4, 100.0)
    assert torch.autograd.gradcheck(rotary, heads)
    assert torch.autograd.gradgradcheck(rotary, heads)


def test_no_rotation_is_the_identity():
    heads = torch.randn(1, 2, 3, 6)
    assert RotaryPosition(0, 100.0)(heads) is heads
