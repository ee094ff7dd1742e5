"""Where a run stands: the part of what a trigger knows that the sample plan and the growth events determine."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Progress:
    """Where a run stands after a step.

    Args:
        step: training steps done.
        words: whitespace words read, repeats counted.
        tokens: tokens read.
        complexity: moving average of the complexity of the samples read, in units of the measure.
        complexity_percentile: share of the whole run's samples, in percent, that are simpler than `complexity`.
        admitted: share of the whole run's text (tokens, repeats counted), in percent, that is no harder than the
            hardest document read so far.
        flops: training FLOPs of the run so far.
    """

    step: int
    words: float
    tokens: int
    complexity: float
    complexity_percentile: float
    admitted: float
    flops: float
