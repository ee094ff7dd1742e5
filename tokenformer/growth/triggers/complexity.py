"""Growth as the text gets harder."""

from collections.abc import Sequence
from dataclasses import dataclass

from tokenformer.config.building import Checked
from tokenformer.config.keys import key
from tokenformer.growth.triggers.levels import chosen_levels, next_level
from tokenformer.growth.triggers.losses import LossHistory
from tokenformer.growth.triggers.progress import Progress


@dataclass(frozen=True)
class ComplexityTrigger(Checked):
    """A stage begins when the text that is read gets as hard as the stage's level.

    Exactly one of three lists, one level a stage, rising, or a number of stages. The first two lists look at the
    smoothed complexity of the samples that are read, `curriculum.smoothing`; the third at the stage of the curriculum,
    which under the ordering `paced` is the part of the text that is admitted.
    """

    thresholds: list[float] = key([], "complexities in units of the measure", rising=True)
    percentiles: list[float] = key(
        [],
        "complexities as quantiles: so many percent of the run's samples are simpler",
        least=0,
        most=100,
        rising=True,
    )
    admitted: list[float] = key(
        [],
        "percent of the run's text that is no harder than the hardest document read so far",
        least=0,
        most=100,
        rising=True,
    )
    stages: int | None = key(
        None, "stages of the run, by quantiles of equal size: 4 are the percentiles 25, 50, 75", least=2, most=1000
    )

    name = "complexity"
    needs = ()

    def __post_init__(self):
        super().__post_init__()
        self._levels()

    def _levels(self) -> tuple[str, list[float]]:
        """The quantity that is compared, and its levels."""
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
