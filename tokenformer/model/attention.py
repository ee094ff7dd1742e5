"""Causal self-attention whose projections are Pattention or ordinary sharded linear layers."""

import torch
from nanotron import distributed as dist
from nanotron.parallel.tensor_parallel.enum import TensorParallelLinearMode
from nanotron.parallel.tensor_parallel.nn import TensorParallelColumnLinear, TensorParallelRowLinear
from torch import nn

from tokenformer.kernels.attention import attend, attention_dtype
from tokenformer.model.config import TokenformerConfig
from tokenformer.model.pattention import Pattention, pattentions_of
from tokenformer.model.rotary import RotaryPosition
from tokenformer.model.tensor_parallel import gather_heads, local_heads, reduced_output, scatter_heads, whole_input


class PattentionHeads(nn.Module):
    """Query, key and value by Pattention: every rank reads whole tokens and keeps its heads of the summed result."""

    def __init__(self, config: TokenformerConfig, layer: int, mode: TensorParallelLinearMode, pg: dist.ProcessGroup):
        super().__init__()
        hidden, key_value = config.hidden_size, config.key_value_heads * config.head_size
        self.query = Pattention(config, "qkv", layer, hidden, hidden, pg)
        self.key = Pattention(config, "qkv", layer, hidden, key_value, pg)
        self.value = Pattention(config, "qkv", layer, hidden, key_value, pg)
        self.heads = config.num_attention_heads, config.key_value_heads, config.key_value_heads
        self.mode, self.pg = mode, pg

    def forward(self, hidden_states: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """[length, batch, hidden] to query, key and value, each [batch, local heads, length, head size]."""
        x = whole_input(hidden_states, self.mode, self.pg)
        return scatter_heads(pattentions_of([self.query, self.key, self.value], x), self.heads, self.pg)


class LinearHeads(nn.Module):
    """Query, key and value by linear layers without bias, sharded over heads."""

    def __init__(self, config: TokenformerConfig, mode: TensorParallelLinearMode, pg: dist.ProcessGroup):
        super().__init__()
        hidden, key_value = config.hidden_size, config.key_value_heads * config.head_size
        self.query = TensorParallelColumnLinear(hidden, hidden, pg=pg, mode=mode, bias=False)
        self.key = TensorParallelColumnLinear(hidden, key_value, pg=pg, mode=mode, bias=False)
        self.value = TensorParallelColumnLinear(hidden, key_value, pg=pg, mode=mode, bias=False)
        self.head_size = config.head_size

    def forward(self, hidden_states: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """As `PattentionHeads`."""
        projections = (self.query, self.key, self.value)
        return tuple(local_heads(projection(hidden_states), self.head_size) for projection in projections)


class CausalSelfAttention(nn.Module):
    """Reads and writes the residual stream [length, batch, hidden]; heads are spread over the tensor-parallel group."""

    def __init__(self, config: TokenformerConfig, layer: int, mode: TensorParallelLinearMode, pg: dist.ProcessGroup):
        super().__init__()
        hidden = config.hidden_size
        if config.is_pattention("qkv"):
            self.qkv = PattentionHeads(config, layer, mode, pg)
        else:
            self.qkv = LinearHeads(config, mode, pg)
        if config.is_pattention("output"):
            self.output = Pattention(config, "output", layer, hidden, hidden, pg)
        else:
            self.output = TensorParallelRowLinear(hidden, hidden, pg=pg, mode=mode, bias=False)
        self.rotary = RotaryPosition(config.rotary_size, config.rope_theta)
        self.mode, self.pg = mode, pg

    def _project_output(self, attended: torch.Tensor) -> torch.Tensor:
        """[batch, local heads, length, head size] to the residual stream."""
        if isinstance(self.output, Pattention):
            return reduced_output(self.output(gather_heads(attended, self.pg)), self.mode, self.pg)
        return self.output(attended.permute(2, 0, 1, 3).flatten(2))

    def forward(self, hidden_states: torch.Tensor, document_ids: torch.Tensor | None = None) -> torch.Tensor:
        """`document_ids` [batch, length]: tokens attend within their document alone."""
        dtype = hidden_states.dtype
        query, key, value = (heads.to(attention_dtype(heads)) for heads in self.qkv(hidden_states))
        query, key = self.rotary(query), self.rotary(key)
        mask = None if document_ids is None else within_document(document_ids)
        return self._project_output(attend(query, key, value, mask=mask, is_causal=mask is None).to(dtype))


def within_document(document_ids: torch.Tensor) -> torch.Tensor:
    """Causal mask inside documents: ids [batch, length] to bool [batch, 1, length, length], true where attended."""
    same = document_ids[:, :, None] == document_ids[:, None, :]
    return same.tril().unsqueeze(1)
