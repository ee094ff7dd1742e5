"""Rotary position embedding in the GPT-NeoX layout (Su et al. 2021, arXiv:2104.09864)."""

import torch


class _Turn(torch.autograd.Function):
    """Turns feature pairs (a, b) by angles: (a cos - b sin, b cos + a sin). The gradient is turned back.

    One function, since the chain of products, sums and slices costs four times its memory traffic.
    """

    @staticmethod
    def forward(ctx, heads, cos, sin):
        ctx.save_for_backward(cos, sin)
        return _turned(heads, cos, sin)

    @staticmethod
    def backward(ctx, grad):
        cos, sin = ctx.saved_tensors
        return _Turn.apply(grad, cos, -sin), None, None


def _turned(heads: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    """heads [batch, heads, length, head size], cos and sin [length, pairs]; contiguous, same shape out."""
    pairs = cos.shape[-1]
    result = torch.empty(heads.shape, dtype=heads.dtype, device=heads.device)
    first, second = heads[..., :pairs], heads[..., pairs : 2 * pairs]
    torch.mul(first, cos, out=result[..., :pairs]).addcmul_(second, sin, value=-1)
    torch.mul(second, cos, out=result[..., pairs : 2 * pairs]).addcmul_(first, sin)
    result[..., 2 * pairs :] = heads[..., 2 * pairs :]
    return result


class RotaryPosition:
    """Turns the first `size` features of every head; feature i is paired with feature i + size / 2.

    The tables are no buffers: Nanotron casts buffers to the model's dtype, and angles need fp32.
    """

    def __init__(self, size: int, base: float):
        self.size, self.base = size, base
        self._tables: dict[tuple, tuple[torch.Tensor, torch.Tensor]] = {}

    def _cos_sin(self, length: int, device: torch.device, dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor]:
        key = (length, device, dtype)
        if key not in self._tables:
            exponents = torch.arange(0, self.size, 2, dtype=torch.float64, device=device) / self.size
            angles = torch.outer(torch.arange(length, dtype=torch.float64, device=device), self.base**-exponents)
            self._tables[key] = (angles.cos().to(dtype), angles.sin().to(dtype))  # [length, size / 2] each
        return self._tables[key]

    def __call__(self, heads: torch.Tensor) -> torch.Tensor:
        """[batch, heads, length, head size], same shape out."""
        if self.size == 0:
            return heads
        return _Turn.apply(heads, *self._cos_sin(heads.shape[-2], heads.device, heads.dtype))
