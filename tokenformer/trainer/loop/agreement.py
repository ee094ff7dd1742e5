"""Decisions that all processes of a run make together."""

import torch
from nanotron import distributed as dist
from nanotron.parallel import ParallelContext

from tokenformer.devices import default_device


def largest_of_all(value: int, context: ParallelContext) -> int:
    """The largest value that a process has, on every one of them; all call this together."""
    if context.world_pg.size() == 1:
        return value
    shared = torch.tensor([value], device=default_device())
    dist.all_reduce(shared, op=dist.ReduceOp.MAX, group=context.world_pg)
    return int(shared)
