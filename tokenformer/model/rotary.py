"""Rotary position embedding in the GPT-NeoX layout (Su et al. 2021, arXiv:2104.09864)."""

import torch


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
        cos, sin = self._cos_sin(heads.shape[-2], heads.device, heads.dtype)
        first, second, rest = heads.split((self.size // 2, self.size // 2, heads.shape[-1] - self.size), dim=-1)
        return torch.cat((first * cos - second * sin, second * cos + first * sin, rest), dim=-1)
