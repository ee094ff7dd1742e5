"""The layers of a Tokenformer (Wang et al. 2024, arXiv:2410.23168) for transformers, in plain torch.

A copy lies in every export. Pattention, for the scores S of one segment of parameter tokens, with its tau and the
mean-square eps:

    l2_norm_gelu   A = gelu(r S),   r = tau / sqrt(sum S^2 + tau^2 eps)
    gelu_l2_norm   A = r gelu(S),   r = tau / sqrt(sum gelu(S)^2 + tau^2 eps)
    softmax        A = tau^2 softmax(S)
"""

import torch
from torch import nn
from torch.nn import functional

from .configuration_tokenformer import TokenformerConfig

GELU_APPROXIMATIONS = {"erf": "none", "tanh": "tanh"}


def l2_normalised(part, tau, eps):
    return part * (tau * torch.rsqrt(part.square().sum(-1, keepdim=True) + tau**2 * eps))


class Pattention(nn.Module):
    """Attention between tokens and parameter tokens: keys [n, d_in] and values [n, d_out]."""

    def __init__(self, config: TokenformerConfig, projection: str, layer: int, inputs: int, outputs: int):
        super().__init__()
        segments = config.segments(projection, layer)
        self.sizes, self.stored_tau = [size for size, _ in segments], [tau for _, tau in segments]
        self.theta, self.eps, self.approximate = config.theta, config.pattention_eps, GELU_APPROXIMATIONS[config.gelu]
        self.key_tokens = nn.Parameter(torch.empty(sum(self.sizes), inputs))
        self.value_tokens = nn.Parameter(torch.empty(sum(self.sizes), outputs))
        self.tau = nn.Parameter(torch.empty(len(segments))) if config.tau == "learned" else None

    def weights(self, part: torch.Tensor, tau: "torch.Tensor | float") -> torch.Tensor:
        """A of one segment from its scores, [.., tokens of the segment]."""
        if self.theta == "softmax":
            return tau**2 * part.softmax(-1)
        if self.theta == "gelu_l2_norm":
            return l2_normalised(functional.gelu(part, approximate=self.approximate), tau, self.eps)
        return functional.gelu(l2_normalised(part, tau, self.eps), approximate=self.approximate)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[.., d_in] to [.., d_out]; statistics in fp32."""
        score = functional.linear(x, self.key_tokens)  # [.., n]
        score = score if score.dtype == torch.float64 else score.float()
        tau = self.stored_tau if self.tau is None else self.tau.to(score.dtype).unbind()
        parts = zip(score.split(self.sizes, dim=-1), tau, strict=True)
        return torch.cat([self.weights(*part) for part in parts], dim=-1).to(x.dtype) @ self.value_tokens


class Norm(nn.Module):
    """LayerNorm or RMSNorm, with or without learned scale (and shift)."""

    def __init__(self, kind: str, size: int, eps: float, affine: bool):
        super().__init__()
        self.kind, self.eps = kind, eps
        self.weight = nn.Parameter(torch.empty(size)) if affine else None
        self.bias = nn.Parameter(torch.empty(size)) if affine and kind == "layer_norm" else None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.kind == "layer_norm":
            return functional.layer_norm(x, x.shape[-1:], self.weight, self.bias, self.eps)
        return functional.rms_norm(x, x.shape[-1:], self.weight, self.eps)


def projection(config: TokenformerConfig, kind: str, layer: int, inputs: int, outputs: int) -> nn.Module:
    if getattr(config, f"{kind}_layer") == "pattention":
        return Pattention(config, kind, layer, inputs, outputs)
    return nn.Linear(inputs, outputs, bias=False)


class Heads(nn.Module):
    """Query, key and value projections."""

    def __init__(self, config: TokenformerConfig, layer: int):
        super().__init__()
        hidden, key_value = config.hidden_size, config.num_key_value_heads * config.head_dim
        self.query = projection(config, "qkv", layer, hidden, hidden)
        self.key = projection(config, "qkv", layer, hidden, key_value)
        self.value = projection(config, "qkv", layer, hidden, key_value)
        self.head_dim = config.head_dim

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        """[batch, length, hidden] to three of [batch, heads, length, head size]."""
        projections = (self.query, self.key, self.value)
        return [project(x).unflatten(-1, (-1, self.head_dim)).transpose(1, 2) for project in projections]


def rotation(
    config: TokenformerConfig, positions: torch.Tensor, dtype: torch.dtype
) -> tuple[torch.Tensor, torch.Tensor]:
    """Cosines and sines [batch, 1, length, rotary size / 2] of positions [batch, length], angles in float64."""
    precise = torch.float32 if positions.device.type == "mps" else torch.float64
    size = config.rotary_size
    exponents = torch.arange(0, size, 2, dtype=precise, device=positions.device) / max(size, 1)
    angles = positions.to(precise)[:, None, :, None] * config.rope_theta**-exponents
    return angles.cos().to(dtype), angles.sin().to(dtype)


def turned(heads: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    """Rotary position embedding (arXiv:2104.09864) in the GPT-NeoX layout, of the first features of each head."""
    half = cos.shape[-1]
    first, second, rest = heads.split((half, half, heads.shape[-1] - 2 * half), dim=-1)
    return torch.cat((first * cos - second * sin, second * cos + first * sin, rest), dim=-1)


class Attention(nn.Module):
    def __init__(self, config: TokenformerConfig, layer: int):
        super().__init__()
        self.layer = layer
        self.qkv = Heads(config, layer)
        self.output = projection(config, "output", layer, config.hidden_size, config.hidden_size)
        self.grouped = config.num_attention_heads != config.num_key_value_heads

    def forward(self, x: torch.Tensor, turns: tuple, mask: "torch.Tensor | None", cache) -> torch.Tensor:
        """[batch, length, hidden], same shape out; mask as `attended_mask` gives it, None is plainly causal."""
        query, key, value = self.qkv(x)
        query, key = turned(query, *turns), turned(key, *turns)
        if cache is not None:
            key, value = cache.update(key, value, self.layer)
        if mask is not None:  # a static cache has room that is not filled yet
            mask = functional.pad(mask, (0, key.shape[-2] - mask.shape[-1]))
        attended = functional.scaled_dot_product_attention(
            query, key, value, attn_mask=mask, is_causal=mask is None, enable_gqa=self.grouped
        )
        return self.output(attended.transpose(1, 2).flatten(2))


class PattentionFeedForward(nn.Module):
    def __init__(self, config: TokenformerConfig, layer: int):
        super().__init__()
        self.pattention = Pattention(config, "feed_forward", layer, config.hidden_size, config.hidden_size)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.pattention(x)


class SwiGLU(nn.Module):
    def __init__(self, config: TokenformerConfig):
        super().__init__()
        hidden, width = config.hidden_size, config.swiglu_width
        if width is None:
            raise ValueError("feed_forward_layer is swiglu, and swiglu_width is missing")
        self.gate = nn.Linear(hidden, width, bias=False)
        self.up = nn.Linear(hidden, width, bias=False)
        self.down = nn.Linear(width, hidden, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.down(functional.silu(self.gate(x)) * self.up(x))


class TokenformerBlock(nn.Module):
    """Pre-norm residual block on [batch, length, hidden]."""

    def __init__(self, config: TokenformerConfig, layer: int):
        super().__init__()
        norm = config.block_norm, config.hidden_size, config.norm_eps, config.block_norm_affine
        is_pattention = config.feed_forward_layer == "pattention"
        self.attention_norm = Norm(*norm)
        self.attention = Attention(config, layer)
        self.feed_forward_norm = Norm(*norm)
        self.feed_forward = PattentionFeedForward(config, layer) if is_pattention else SwiGLU(config)

    def forward(self, x: torch.Tensor, turns: tuple, mask: "torch.Tensor | None", cache) -> torch.Tensor:
        x = x + self.attention(self.attention_norm(x), turns, mask, cache)
        return x + self.feed_forward(self.feed_forward_norm(x))
