"""Growth when something reaches a level: the complexity of the text, or the amount of training."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tokenformer.config.building import Checked
from tokenformer.config.keys import key
from tokenformer.errors import UserError
from tokenformer.growth.triggers.losses import LossHistory
from tokenformer.growth.triggers.trigger import Progress


@dataclass(frozen=True)
class LevelTrigger(Checked, ABC):
    """The part that both triggers share: one list of levels is given, and each growth event takes the next of them."""

    needs = ()

    def __post_init__(self):
        super().__post_init__()
        self._levels()

    @abstractmethod
    def _lists(self) -> Mapping[str, Sequence[float]]:
        """Each list of levels that the user may give, by its key."""

    @abstractmethod
    def _reached(self, key: str, progress: Progress) -> tuple[float, str, str]:
        """The quantity that a list is compared with, both in words and with the format of a level."""

    def _levels(self) -> tuple[str, Sequence[float]]:
        """The key of the only list that is given, and the list.

        Raises:
            UserError: none or several are given.
        """
        lists = self._lists()
        given = [(key, levels) for key, levels in lists.items() if levels]
        if len(given) != 1:
            raise UserError(f"{self.name}: give exactly one of {', '.join(lists)}")
        return given[0]

    @property
    def events(self) -> int:
        return len(self._levels()[1])

    def reason(self, progress: Progress, event_steps: Sequence[int], losses: LossHistory) -> str | None:
        chosen, levels = self._levels()
        if len(event_steps) >= len(levels):
            return None
        level = levels[len(event_steps)]
        reached, description, style = self._reached(chosen, progress)
        return None if reached < level else f"{description} >= {level:{style}}"


@dataclass(frozen=True)
class ComplexityTrigger(LevelTrigger):
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

    def _lists(self) -> Mapping[str, Sequence[float]]:
        quantiles = [round(100 * stage / self.stages, 6) for stage in range(1, self.stages)] if self.stages else []
        return {
            "thresholds": self.thresholds,
            "percentiles": self.percentiles,
            "admitted": self.admitted,
            "stages": quantiles,
        }

    def _reached(self, key: str, progress: Progress) -> tuple[float, str, str]:
        if key == "admitted":
            return progress.admitted, f"admitted text {progress.admitted:.1f} %", ""
        description = f"complexity {progress.complexity:.3f}"
        if key == "thresholds":
            return progress.complexity, description, ""
        percentile = progress.complexity_percentile
        return percentile, f"{description} at percentile {percentile:.1f}", ""


@dataclass(frozen=True)
class ScheduleTrigger(LevelTrigger):
    """A stage begins after so many steps, words, tokens or FLOPs of the run.

    Exactly one of the four lists is given, one number a stage.
    """

    steps: list[int] = key([], "training steps", least=0, rising=True)
    words: list[float] = key([], "words read, repeats counted", least=0, rising=True)
    tokens: list[float] = key([], "tokens read", least=0, rising=True)
    flops: list[float] = key([], "training FLOPs of the whole run so far", least=0, most=1e30, rising=True)

    name = "schedule"

    def _lists(self) -> Mapping[str, Sequence[float]]:
        return {"steps": self.steps, "words": self.words, "tokens": self.tokens, "flops": self.flops}

    def _reached(self, key: str, progress: Progress) -> tuple[float, str, str]:
        quantity, title, style = {
            "steps": (progress.step, "step", ",.0f"),
            "words": (progress.words, "words", ",.0f"),
            "tokens": (progress.tokens, "tokens", ",.0f"),
            "flops": (progress.flops, "FLOPs", ".4g"),
        }[key]
        return quantity, f"{title} {quantity:{style}}", style
