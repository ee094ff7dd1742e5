"""Keeps the losses that growth triggers read, the same on every rank."""

import math

import torch
from nanotron import distributed as dist
from nanotron.parallel import ParallelContext

from tokenformer.devices import default_device
from tokenformer.growth.triggers import LossHistory, Progress


class LossRecorder:
    """Records losses while training goes on; does nothing, and costs nothing, for losses that no trigger reads.

    Args:
        history: what a checkpoint recorded, or the empty history of the run.
        knowing_rank: a rank of the world that knows every loss; its values count on all ranks. So even the last bit
            is the same everywhere, and pipeline ranks without the loss learn it.
    """

    def __init__(self, history: LossHistory, knowing_rank: int, context: ParallelContext):
        self.history = history
        self.knowing_rank, self.context = knowing_rank, context

    def add(self, source: str, progress: Progress, event_steps: list[int], loss: float | torch.Tensor | None) -> None:
        """Records a loss, in nats a token; all ranks call this together.

        Args:
            source: "training" after every step, "validation" after every measurement.
            progress: where the run stands.
            loss: None on ranks that do not know it.
        """
        if self.history.reads(source):
            known = self._of_knowing_rank(math.nan if loss is None else float(loss))
            if not math.isfinite(known):
                return  # the step was left out
            self.history = self.history.with_loss(source, progress.step, progress.flops, known, event_steps)

    def _of_knowing_rank(self, value: float) -> float:
        shared = torch.tensor([value], dtype=torch.float64, device=default_device())
        dist.broadcast(shared, src=self.knowing_rank, group=self.context.world_pg)
        return shared.item()
