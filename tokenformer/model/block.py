"""One decoder block, and the norms around it."""

import torch
from nanotron import distributed as dist
from nanotron.parallel.tensor_parallel.enum import TensorParallelLinearMode
from nanotron.parallel.tensor_parallel.nn import TensorParallelColumnLinear, TensorParallelRowLinear
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


class PattentionFeedForward(nn.Module):
    """The feed-forward layer as one Pattention."""

    def __init__(self, config: TokenformerConfig, layer: int, mode: TensorParallelLinearMode, pg: dist.ProcessGroup):
        super().__init__()
        self.pattention = Pattention(config, "feed_forward", layer, config.hidden_size, config.hidden_size, pg)
        self.mode, self.pg = mode, pg

    def forward(self, hidden_states: torch.Tensor) -> torch.Tensor:
        partial = self.pattention(whole_input(hidden_states, self.mode, self.pg))
        return reduced_output(partial, self.mode, self.pg)


class SwiGLU(nn.Module):
    """`W_down (silu(W_gate x) * W_up x)` (Shazeer 2020, arXiv:2002.05202), sharded over the width."""

    def __init__(self, config: TokenformerConfig, mode: TensorParallelLinearMode, pg: dist.ProcessGroup):
        super().__init__()
        hidden, width = config.hidden_size, config.swiglu_width
        self.gate = TensorParallelColumnLinear(hidden, width, pg=pg, mode=mode, bias=False)
        self.up = TensorParallelColumnLinear(hidden, width, pg=pg, mode=mode, bias=False)
        self.down = TensorParallelRowLinear(width, hidden, pg=pg, mode=mode, bias=False)

    def forward(self, hidden_states: torch.Tensor) -> torch.Tensor:
        return self.down(functional.silu(self.gate(hidden_states)) * self.up(hidden_states))


class TokenformerBlock(nn.Module):
    """Pre-norm residual block on the stream [length, batch, hidden]."""

    def __init__(self, config: TokenformerConfig, layer: int, mode: TensorParallelLinearMode, pg: dist.ProcessGroup):
        super().__init__()
        norm = config.block_norm, config.hidden_size, config.norm_eps, config.block_norm_affine
        self.attention_norm = Norm(*norm)
        self.attention = CausalSelfAttention(config, layer, mode, pg)
        self.feed_forward_norm = Norm(*norm)
        if config.is_pattention("feed_forward"):
            self.feed_forward = PattentionFeedForward(config, layer, mode, pg)
        else:
            self.feed_forward = SwiGLU(config, mode, pg)

    def forward(self, hidden_states: torch.Tensor, **documents: torch.Tensor) -> dict[str, torch.Tensor]:
        """Adds attention and feed-forward to the stream. `document_mask` adds `document_ids` [batch, length]."""
        attended = self.attention(self.attention_norm(hidden_states), **documents)
        hidden_states = hidden_states + attended
        hidden_states = hidden_states + self.feed_forward(self.feed_forward_norm(hidden_states))
        return {"hidden_states": hidden_states, **documents}
