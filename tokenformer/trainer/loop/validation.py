"""Held-out loss on the live, possibly sharded model."""

import math

import numpy as np
import torch
from nanotron import distributed as dist
from nanotron.models import NanotronModel
from nanotron.parallel import ParallelContext
from nanotron.parallel.pipeline_parallel.tensor_pointer import TensorPointer

from tokenformer.devices import default_device
from tokenformer.evaluation.held_out import HeldOutLevel, summarise
from tokenformer.trainer.loop.batches import as_microbatch


def _to_device(batch: dict) -> dict:
    device = default_device()
    return {key: value if isinstance(value, TensorPointer) else value.to(device) for key, value in batch.items()}


class HeldOutLoss:
    """Measures the loss of a model on the held-out levels, each data-parallel rank on its share of the batches.

    Args:
        batch_size: windows a forward pass.
    """

    def __init__(self, levels: list[HeldOutLevel], sequence_length: int, batch_size: int, context: ParallelContext):
        self.levels, self.context, self.batch_size = levels, context, batch_size
        self.windows = [level.windows(sequence_length) for level in levels]

    @torch.no_grad()
    def _summed_loss(self, model: NanotronModel, samples: np.ndarray, mask: np.ndarray) -> float:
        """Nats over the masked labels; 0 on pipeline ranks that do not hold the loss."""
        batch = as_microbatch(samples, mask, self.context, model.input_pp_rank, model.output_pp_rank)
        loss = model(**_to_device(batch))["loss"]
        return 0.0 if isinstance(loss, TensorPointer) else loss.double().item() * int(mask.sum())

    def _over_ranks(self, values: list[float]) -> list[float]:
        total = torch.tensor(values, dtype=torch.float64, device=default_device())
        dist.all_reduce(total, group=self.context.dp_pg)
        dist.all_reduce(total, group=self.context.pp_pg)
        return total.tolist()

    def measure(self, model: NanotronModel) -> dict[str, float]:
        """`val/loss` and `val/bits_per_byte`, overall and for each level; the same on every rank."""
        rank, ranks = dist.get_rank(self.context.dp_pg), self.context.dp_pg.size()
        sums = []
        for samples, mask in self.windows:
            batches = range(0, len(samples), self.batch_size)
            mine = batches[rank::ranks]
            parts = [slice(start, start + self.batch_size) for start in mine]
            sums.append(math.fsum(self._summed_loss(model, samples[part], mask[part]) for part in parts))
        names = [level.name for level in self.levels]
        return summarise(dict(zip(names, self._over_ranks(sums), strict=True)), self.levels)

    def held_batch_loss(self, model: NanotronModel) -> float:
        """Loss in nats a token on one fixed batch, which takes windows of every level; the same on every rank."""
        share = max(1, self.batch_size // len(self.windows))
        samples = np.concatenate([samples[:share] for samples, _ in self.windows])
        mask = np.concatenate([mask[:share] for _, mask in self.windows])
        total = self._over_ranks([self._summed_loss(model, samples, mask)])[0]
        return total / int(mask.sum()) / self.context.dp_pg.size()
