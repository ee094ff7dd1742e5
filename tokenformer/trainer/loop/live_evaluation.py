"""Minimal pairs and other choices scored on the live, possibly sharded model, while it trains.

A failing evaluation must not end a run, and a failure of one process must not leave the others waiting in a collective
that it never enters. Therefore data is read and encoded before the first step; each process first does what it can do
alone; then all agree, by a sum of flags, whether to go on; and once more after the passes through the model. What this
cannot catch is a process that dies, or fails inside a pass that tensor or pipeline parallelism spreads over several.
"""

from collections.abc import Sequence

import numpy as np
import torch
from nanotron import distributed as dist
from nanotron.models import NanotronModel
from nanotron.parallel import ParallelContext
from nanotron.parallel.pipeline_parallel.tensor_pointer import TensorPointer

from tokenformer.devices import default_device
from tokenformer.evaluation.outcomes import Scoring, TaskScore
from tokenformer.evaluation.prefix_tree import TOKENS_OF_A_PASS, Batch, ScoringPlan
from tokenformer.run_folder import keys


class EvaluationFailed(RuntimeError):
    """An evaluation failed in some process; all of them raise it."""


class LiveEvaluation:
    """Scores a model in all processes of a run; each data-parallel rank takes its share of the batches.

    Args:
        batch_size: texts of a forward pass; None: by the memory of the device.
    """

    def __init__(self, scoring: Scoring, batch_size: int | None, context: ParallelContext):
        self.scoring, self.context = scoring, context
        self.device = default_device()
        # A sequence is cut over the tensor-parallel ranks where tp_mode is REDUCE_SCATTER.
        multiple = context.tp_pg.size()
        self.plan = ScoringPlan(
            scoring.requests, batch_size=batch_size, tokens=TOKENS_OF_A_PASS[self.device], multiple=multiple
        )

    def measure(self, model: NanotronModel) -> list[TaskScore]:
        """The score of each task, the same on every rank.

        Raises:
            EvaluationFailed: on every rank, if it failed on one.
        """
        failure, batches, values = None, [], np.zeros(self.plan.size)
        try:
            batches = self._share(model)
        except Exception as error:
            failure = error
        self._agree(failure)
        try:
            self._answer(model, batches, values)
        except Exception as error:
            failure = error
        self._agree(failure)
        return self.scoring.scores(self.plan.sums(self._over_ranks(values)))

    def _agree(self, failure: Exception | None) -> None:
        """Raises on all ranks if one of them failed."""
        failed = torch.tensor([0 if failure is None else 1], device=self.device)
        dist.all_reduce(failed, group=self.context.world_pg)
        if int(failed) > 0:
            reason = "another process failed" if failure is None else f"{type(failure).__name__}: {failure}"
            raise EvaluationFailed(f"{reason} ({int(failed)} of {self.context.world_pg.size()} processes)")

    def _share(self, model: NanotronModel) -> list[tuple[Batch, dict]]:
        """The batches of this data-parallel rank, and what its pipeline rank feeds to the model."""
        rank, ranks = dist.get_rank(self.context.dp_pg), self.context.dp_pg.size()
        return [
            (batch, inputs_of_stage(model, self.context, torch.from_numpy(batch.ids)))
            for batch in self.plan.batches[rank::ranks]
        ]

    @torch.no_grad()
    def _answer(self, model: NanotronModel, batches: Sequence[tuple[Batch, dict]], values: np.ndarray) -> None:
        """Fills in the values of this rank's batches, on the pipeline rank that holds the logits."""
        for batch, inputs in batches:
            logits = model.model(**inputs)  # [length, batch, vocabulary / tp]
            if not isinstance(logits, TensorPointer):
                asked = logits[torch.from_numpy(batch.nodes), torch.from_numpy(batch.rows)]
                targets = torch.from_numpy(batch.targets).to(self.device)
                values[batch.slots] = self._log_probabilities(asked.float(), targets).double().cpu().numpy()

    def _log_probabilities(self, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Log-probabilities [asked], from this rank's logits [asked, vocabulary / tp] and targets [asked]."""
        group = self.context.tp_pg
        if group.size() == 1:
            return logits.gather(1, targets[:, None]).squeeze(1) - logits.logsumexp(-1)
        width = logits.shape[1]
        local = targets - dist.get_rank(group) * width
        is_here = (local >= 0) & (local < width)
        chosen = logits.gather(1, local.clamp(0, width - 1)[:, None]).squeeze(1) * is_here
        highest = logits.amax(-1)
        dist.all_reduce(highest, op=dist.ReduceOp.MAX, group=group)
        sums = torch.stack([(logits - highest[:, None]).exp().sum(-1), chosen])
        dist.all_reduce(sums, group=group)
        return sums[1] - highest - sums[0].log()

    def _over_ranks(self, values: np.ndarray) -> np.ndarray:
        """All answers; each stands in one rank of the data-parallel and pipeline groups, and is 0 in the others."""
        total = torch.from_numpy(values).to(self.device)
        dist.all_reduce(total, group=self.context.dp_pg)
        dist.all_reduce(total, group=self.context.pp_pg)
        return total.cpu().numpy()


def inputs_of_stage(model: NanotronModel, context: ParallelContext, ids: torch.Tensor) -> dict:
    """The arguments for token ids [batch, length] that this pipeline stage gives to the model."""
    reader = model.input_pp_rank
    if dist.get_rank(context.pp_pg) != reader:
        return {"input_ids": TensorPointer(reader), "input_mask": TensorPointer(reader)}
    ids = ids.to(default_device())
    return {"input_ids": ids, "input_mask": torch.ones_like(ids, dtype=torch.bool)}


def as_metrics(scores: Sequence[TaskScore]) -> dict[str, float]:
    """Scores under the names of the metrics file: accuracy of tasks and groups, items, standard error and ties."""
    metrics: dict[str, float] = {}
    for score in scores:
        accuracy, items, ties, error = (
            keys.of_part(key, score.task) for key in (keys.SCORE, keys.SCORE_ITEMS, keys.SCORE_TIES, keys.SCORE_ERROR)
        )
        metrics |= {accuracy: score.whole.accuracy, items: score.whole.n, ties: score.whole.ties}
        if score.whole.stderr is not None:
            metrics[error] = score.whole.stderr
        metrics |= {f"{accuracy}/{group}": whole.accuracy for group, whole in score.groups.items()}
    return metrics
