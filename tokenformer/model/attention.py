"""Causal self-attention whose four projections are Pattention."""

import torch
from nanotron import distributed as dist
from nanotron.parallel.tensor_parallel.enum import TensorParallelLinearMode
from torch import nn
from torch.nn import functional

from tokenformer.model.config import TokenformerConfig
from tokenformer.model.pattention import Pattention
from tokenformer.model.rotary import RotaryPosition
from tokenformer.model.tensor_parallel import gather_heads, reduced_output, scatter_heads, whole_input


class CausalSelfAttention(nn.Module):
    """Reads and writes the residual stream [length, batch, hidden]; heads are spread over the tensor-parallel group."""

    def __init__(self, config: TokenformerConfig, mode: TensorParallelLinearMode, pg: dist.ProcessGroup):
        super().__init__()
        hidden, key_value = config.hidden_size, config.num_key_value_heads * config.head_size
        self.query = Pattention(config, "qkv", hidden, hidden, pg)
        self.key = Pattention(config, "qkv", hidden, key_value, pg)
        self.value = Pattention(config, "qkv", hidden, key_value, pg)
        self.output = Pattention(config, "output", hidden, hidden, pg)
        self.rotary = RotaryPosition(config.rotary_size, config.rope_theta)
        self.heads, self.key_value_heads = config.num_attention_heads, config.num_key_value_heads
        self.mode, self.pg = mode, pg

    def forward(self, hidden_states: torch.Tensor) -> torch.Tensor:
        x = whole_input(hidden_states, self.mode, self.pg)
        query = self.rotary(
            scatter_heads(self.query(x), self.heads, self.pg)
        )  # [batch, local heads, length, head size]
        key = self.rotary(scatter_heads(self.key(x), self.key_value_heads, self.pg))
        value = scatter_heads(self.value(x), self.key_value_heads, self.pg)
        attended = functional.scaled_dot_product_attention(
            query, key, value, is_causal=True, enable_gqa=self.heads != self.key_value_heads
        )
        return reduced_output(self.output(gather_heads(attended, self.pg)), self.mode, self.pg)
