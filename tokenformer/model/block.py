"""One decoder block, and the norms around it."""

import torch
from nanotron import distributed as dist
from nanotron.parallel.tensor_parallel.enum import TensorParallelLinearMode
from torch import nn
from torch.nn import functional

from tokenformer.model.attention import CausalSelfAttention
from tokenformer.model.config import TokenformerConfig
from tokenformer.model.pattention import Pattention
from tokenformer.model.tensor_parallel import reduced_output, whole_input


class Norm(nn.Module):
    """LayerNorm or RMSNorm over the hidden dimension, with or without learned scale (and shift)."""

    def __init__(self, kind: str, hidden_size: int, eps: float, affine: bool):
        super().__init__()
        self.kind, self.eps = kind, eps
        self.weight = nn.Parameter(torch.empty(hidden_size)) if affine else None
        self.bias = nn.Parameter(torch.empty(hidden_size)) if affine and kind == "layer_norm" else None

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        if self.kind == "layer_norm":
            return functional.layer_norm(input, input.shape[-1:], self.weight, self.bias, self.eps)
        return functional.rms_norm(input, input.shape[-1:], self.weight, self.eps)


class FeedForward(nn.Module):
    """The feed-forward layer: one Pattention."""

    def __init__(self, config: TokenformerConfig, mode: TensorParallelLinearMode, pg: dist.ProcessGroup):
        super().__init__()
        self.pattention = Pattention(config, "feed_forward", config.hidden_size, config.hidden_size, pg)
        self.mode, self.pg = mode, pg

    def forward(self, hidden_states: torch.Tensor) -> torch.Tensor:
        partial = self.pattention(whole_input(hidden_states, self.mode, self.pg))
        return reduced_output(partial, self.mode, self.pg)


class TokenformerBlock(nn.Module):
    """Pre-norm residual block on the stream [length, batch, hidden]."""

    def __init__(self, config: TokenformerConfig, mode: TensorParallelLinearMode, pg: dist.ProcessGroup):
        super().__init__()
        norm = config.block_norm, config.hidden_size, config.norm_eps, config.block_norm_affine
        self.attention_norm = Norm(*norm)
        self.attention = CausalSelfAttention(config, mode, pg)
        self.feed_forward_norm = Norm(*norm)
        self.feed_forward = FeedForward(config, mode, pg)

    def forward(self, hidden_states: torch.Tensor) -> dict[str, torch.Tensor]:
        hidden_states = hidden_states + self.attention(self.attention_norm(hidden_states))
        hidden_states = hidden_states + self.feed_forward(self.feed_forward_norm(hidden_states))
        return {"hidden_states": hidden_states}
