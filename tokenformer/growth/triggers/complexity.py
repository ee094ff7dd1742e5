"""Growth as the text gets harder."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from tokenformer.errors import UserError
from tokenformer.growth.triggers.losses import LossHistory
from tokenformer.growth.triggers.parameters import check_least, chosen_levels, next_level
from tokenformer.growth.triggers.progress import Progress


@dataclass(frozen=True)
class ComplexityTrigger:
    """A stage begins when the text that is read gets as hard as the stage's level.

    Exactly one of three lists, one level a stage, rising, or a number of stages. The first two lists look at the
    smoothed complexity of the samples that are read, `curriculum.smoothing`; the third at the stage of the curriculum,
    which under the ordering `paced` is the part of the text that is admitted.

    Args:
        thresholds: complexity in units of the measure.
        percentiles: complexity as a quantile, in percent: so many of the run's samples are simpler.
        admitted: percent of the run's text that is no harder than the hardest document read so far.
        stages: of the run, by quantiles of equal size: 4 are the percentiles 25, 50 and 75.
    """

    thresholds: list[float] = field(default_factory=list)
    percentiles: list[float] = field(default_factory=list)
    admitted: list[float] = field(default_factory=list)
    stages: int | None = None

    needs = ()

    def __post_init__(self):
        for key in ("percentiles", "admitted"):
            if any(not 0 <= level <= 100 for level in getattr(self, key)):
                raise UserError(f"complexity: {key} are percent, from 0 to 100, not {getattr(self, key)}")
        if self.stages is not None:
            check_least("complexity", {"stages": 2}, self)
        self._levels()

    def _levels(self) -> tuple[str, list[float]]:
        """What is compared, and with which levels."""
        lists = {"thresholds": self.thresholds, "percentiles": self.percentiles, "admitted": self.admitted}
        quantiles = [round(100 * stage / self.stages, 6) for stage in range(1, self.stages)] if self.stages else []
        chosen = chosen_levels("complexity", **lists, stages=quantiles)
        return ("percentiles", quantiles) if chosen == "stages" else (chosen, lists[chosen])

    @property
    def events(self) -> int:
        return len(self._levels()[1])

    def reason(self, progress: Progress, event_steps: Sequence[int], losses: LossHistory) -> str | None:
        chosen, levels = self._levels()
        level = next_level(levels, event_steps)
        reached, description = {
            "thresholds": (progress.complexity, f"complexity {progress.complexity:.3f}"),
            "percentiles": (
                progress.complexity_percentile,
                f"complexity {progress.complexity:.3f} at percentile {progress.complexity_percentile:.1f}",
            ),
            "admitted": (progress.admitted, f"admitted text {progress.admitted:.1f} %"),
        }[chosen]
        return None if level is None or reached < level else f"{description} >= {level}"
