"""Moves activations between the layouts of tensor parallelism, in both of Nanotron's modes.

Between the layers the residual stream [length, batch, hidden] is whole on every rank under ALL_REDUCE and sharded along
its first dimension under REDUCE_SCATTER. Pattention reads whole inputs, and yields partial sums.
"""

from collections.abc import Sequence

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


def scatter_heads(
    partials: Sequence[torch.Tensor], heads: Sequence[int], pg: dist.ProcessGroup
) -> tuple[torch.Tensor, ...]:
    """Partial sums of several projections to this rank's heads of each, with one reduction for all of them.

    Args:
        partials: [length, batch, heads * head size] of each projection.
        heads: how many heads each projection has over all ranks.

    Returns:
        [batch, local heads, length, head size] of each projection.
    """
    if pg.size() == 1:
        return tuple(
            partial.unflatten(-1, (count, -1)).permute(1, 2, 0, 3)
            for partial, count in zip(partials, heads, strict=True)
        )
    local = [count // pg.size() for count in heads]
    by_rank = [  # [length, batch, ranks, local heads, head size]
        partial.unflatten(-1, (pg.size(), count, -1)) for partial, count in zip(partials, local, strict=True)
    ]
    stacked = torch.cat(by_rank, dim=3).permute(2, 3, 0, 1, 4).flatten(0, 1)
    reduced = differentiable_reduce_scatter_sum(stacked, group=pg)  # [local heads of all, length, batch, head size]
    return tuple(part.permute(2, 0, 1, 3) for part in reduced.split(local))


def local_heads(projected: torch.Tensor, head_size: int) -> torch.Tensor:
    """Heads side by side, [length, batch, local heads * head size], to [batch, local heads, length, head size]."""
    return projected.unflatten(-1, (-1, head_size)).permute(1, 2, 0, 3)


def gather_heads(attended: torch.Tensor, pg: dist.ProcessGroup) -> torch.Tensor:
    """This rank's heads [batch, local heads, length, head size] to all of them, [length, batch, heads * head size]."""
    if pg.size() == 1:
        return attended.permute(2, 0, 1, 3).flatten(2)
    return differentiable_all_gather(attended.permute(1, 2, 0, 3), group=pg).permute(1, 2, 0, 3).flatten(2)
