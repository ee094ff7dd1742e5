"""Where a run stands after each step, as its sample plan says: what growth triggers compare with their levels."""

from dataclasses import dataclass

import numpy as np

from tokenformer.curriculum.plan import SamplePlan
from tokenformer.growth.triggers import Progress


@dataclass(frozen=True)
class PlanProgress:
    """The progress of a run, FLOPs aside, for each number of steps done, from 0.

    Args:
        words: float64 [steps + 1].
        tokens_per_step: tokens.
        complexity, complexity_percentile, admitted: float64 [steps + 1]; see `Progress`. Before the first step the
            complexity is that of the first sample.
    """

    words: np.ndarray
    tokens_per_step: int
    complexity: np.ndarray
    complexity_percentile: np.ndarray
    admitted: np.ndarray

    @classmethod
    def of(cls, plan: SamplePlan, steps: int, batch_size: int, smoothing: float) -> "PlanProgress":
        """The progress of a run of `steps` steps with `batch_size` samples each.

        Args:
            smoothing: weight of the past in the moving average of complexity.
        """
        smoothed = plan.smoothed_complexity(batch_size, smoothing)[:steps]
        complexity = np.concatenate([plan.sample_complexity[:1], smoothed])
        simpler = np.searchsorted(np.sort(plan.sample_complexity), complexity)
        samples = np.arange(steps + 1) * batch_size
        return cls(
            words=plan.words_before(samples),
            tokens_per_step=batch_size * plan.sequence_length,
            complexity=complexity,
            complexity_percentile=100 * simpler / len(plan.sample_complexity),
            admitted=admitted_text(plan, samples),
        )

    def after(self, step: int, flops: float) -> Progress:
        """Where the run stands after so many steps, given their training FLOPs."""
        return Progress(
            step=step,
            words=float(self.words[step]),
            tokens=step * self.tokens_per_step,
            complexity=float(self.complexity[step]),
            complexity_percentile=float(self.complexity_percentile[step]),
            admitted=float(self.admitted[step]),
            flops=flops,
        )


def admitted_text(plan: SamplePlan, samples: np.ndarray) -> np.ndarray:
    """Percent of the plan's tokens, repeats counted, in documents no harder than the hardest of the first samples.

    Args:
        samples: int64 [n], numbers of samples read.

    Returns:
        float64 [n], not falling where `samples` does not; 0 for no sample.
    """
    complexity, tokens = plan.document_complexity[plan.order], plan.document_tokens[plan.order]
    by_complexity = np.argsort(complexity, kind="stable")
    tokens_up_to = np.concatenate([[0], np.cumsum(tokens[by_complexity])])
    hardest = np.maximum.accumulate(complexity)
    begun = np.searchsorted(plan.document_starts[:-1], samples * plan.sequence_length, side="left")
    no_harder = np.searchsorted(complexity[by_complexity], hardest[np.maximum(begun, 1) - 1], side="right")
    return np.where(begun > 0, 100 * tokens_up_to[no_harder] / tokens_up_to[-1], 0.0)
