"""Attention of queries to keys and values, by torch's `scaled_dot_product_attention`.

On a CPU torch's fused kernel is slow in two cases that cost nothing to avoid (2,048 positions in rows of 128, 8 heads
of 32, one thread): heads that lie strided in memory, and the backward pass in bf16, three times the fp32 one.
"""

import torch
from torch.nn import functional


def attention_dtype(tensor: torch.Tensor) -> torch.dtype:
    """The dtype in which attention over such a tensor is best computed: on a CPU fp32 in place of 16 bits."""
    is_short = tensor.dtype in (torch.bfloat16, torch.float16)
    return torch.float32 if is_short and tensor.device.type == "cpu" else tensor.dtype


def attend(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    *,
    mask: torch.Tensor | None = None,
    is_causal: bool = False,
    scale: float | None = None,
) -> torch.Tensor:
    """softmax(scale query key^T) value, computed in `attention_dtype` and rounded once at the end.

    Args:
        query: [batch, heads, length, head size].
        key, value: the same, or with fewer heads, each of which serves a group of query heads.
        mask: bool, broadcast to [batch, heads, length, length], true where attended.
        is_causal: no position attends to a later one; not together with a mask.
        scale: 1 / sqrt(head size) where None.

    Returns:
        The shape and dtype of `query`.
    """
    dtype, is_grouped = query.dtype, query.shape[1] != key.shape[1]
    if query.device.type == "cpu":
        inside = attention_dtype(query)
        query, key, value = (tensor.to(inside).contiguous() for tensor in (query, key, value))
    attended = functional.scaled_dot_product_attention(
        query, key, value, attn_mask=mask, is_causal=is_causal, scale=scale, enable_gqa=is_grouped
    )
    return attended.to(dtype)
