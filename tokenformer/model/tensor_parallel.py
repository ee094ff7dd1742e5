"""Moves activations between the layouts of tensor parallelism, in both of Nanotron's modes.

Between the layers the residual stream [length, batch, hidden] is whole on every rank under ALL_REDUCE and sharded along
its first dimension under REDUCE_SCATTER. Pattention reads whole inputs, and yields partial sums.
"""

import torch
from nanotron import distributed as dist
from nanotron.parallel.tensor_parallel.distributed_differentiable_primitives import (
    differentiable_all_gather,
    differentiable_all_reduce_sum,
    differentiable_identity,
    differentiable_reduce_scatter_sum,
)
from nanotron.parallel.tensor_parallel.enum import TensorParallelLinearMode


def whole_input(hidden: torch.Tensor, mode: TensorParallelLinearMode, pg: dist.ProcessGroup) -> torch.Tensor:
    """The residual stream to a whole input of a sharded layer."""
    if pg.size() == 1:
        return hidden
    if mode is TensorParallelLinearMode.REDUCE_SCATTER:
        return differentiable_all_gather(hidden, group=pg)
    return differentiable_identity(hidden, group=pg)


def reduced_output(partial: torch.Tensor, mode: TensorParallelLinearMode, pg: dist.ProcessGroup) -> torch.Tensor:
    """Partial sums of a sharded layer back to the residual stream."""
    if pg.size() == 1:
        return partial
    if mode is TensorParallelLinearMode.REDUCE_SCATTER:
        return differentiable_reduce_scatter_sum(partial, group=pg)
    return differentiable_all_reduce_sum(partial, group=pg)


def scatter_heads(partial: torch.Tensor, heads: int, pg: dist.ProcessGroup) -> torch.Tensor:
    """Partial sums [length, batch, heads * head size] to this rank's heads [batch, local heads, length, head size]."""
    by_head = partial.unflatten(-1, (heads, -1))
    if pg.size() == 1:
        return by_head.permute(1, 2, 0, 3)
    return differentiable_reduce_scatter_sum(by_head.permute(2, 0, 1, 3), group=pg).permute(2, 0, 1, 3)


def local_heads(projected: torch.Tensor, head_size: int) -> torch.Tensor:
    """Heads side by side, [length, batch, local heads * head size], to [batch, local heads, length, head size]."""
    return projected.unflatten(-1, (-1, head_size)).permute(1, 2, 0, 3)


def gather_heads(attended: torch.Tensor, pg: dist.ProcessGroup) -> torch.Tensor:
    """This rank's heads [batch, local heads, length, head size] to all of them, [length, batch, heads * head size]."""
    if pg.size() == 1:
        return attended.permute(2, 0, 1, 3).flatten(2)
    return differentiable_all_gather(attended.permute(1, 2, 0, 3), group=pg).permute(1, 2, 0, 3).flatten(2)
