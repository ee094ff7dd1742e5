"""When to grow: pure functions of what a checkpoint records, so every rank and every resumed run decides the same."""

from dataclasses import dataclass, field
from typing import Protocol

from tokenformer.errors import UserError


@dataclass(frozen=True)
class Progress:
    """Where a run stands after a step.

    Args:
        step: training steps done.
        words: whitespace words read, repeats counted.
        tokens: tokens read.
        complexity: moving average of the complexity of the samples read, in units of the measure.
        complexity_percentile: share of the whole run's samples, in percent, that are simpler than `complexity`.
    """

    step: int
    words: float
    tokens: int
    complexity: float
    complexity_percentile: float


class Trigger(Protocol):
    """Says when a stage begins."""

    @property
    def events(self) -> int:
        """How many growth events there can be."""

    def reason(self, progress: Progress, stages_done: int) -> str | None:
        """Why the next stage begins now, or None when it does not."""


def _check_rising(trigger: str, key: str, values: list) -> None:
    if not values or any(later <= earlier for earlier, later in zip(values, values[1:], strict=False)):
        raise UserError(f"{trigger}: {key} must be a rising list, not {values}")


def _only_one(trigger: str, **lists: list) -> str:
    given = [key for key, values in lists.items() if values]
    if len(given) != 1:
        raise UserError(f"{trigger}: give exactly one of {', '.join(lists)}")
    _check_rising(trigger, given[0], lists[given[0]])
    return given[0]


@dataclass(frozen=True)
class ComplexityTrigger:
    """A stage begins when the smoothed complexity of what is read reaches the stage's level.

    Args:
        thresholds: levels in units of the measure, one a stage.
        percentiles: levels as percentiles of the complexity of the run's samples, one a stage; instead of `thresholds`.
    """

    thresholds: list[float] = field(default_factory=list)
    percentiles: list[float] = field(default_factory=list)

    def __post_init__(self):
        _only_one("complexity", thresholds=self.thresholds, percentiles=self.percentiles)

    @property
    def events(self) -> int:
        return len(self.thresholds or self.percentiles)

    def reason(self, progress: Progress, stages_done: int) -> str | None:
        if stages_done >= self.events:
            return None
        if self.thresholds:
            level = self.thresholds[stages_done]
            return f"complexity {progress.complexity:.3f} >= {level}" if progress.complexity >= level else None
        level = self.percentiles[stages_done]
        if progress.complexity_percentile < level:
            return None
        return f"complexity {progress.complexity:.3f} at percentile {progress.complexity_percentile:.1f} >= {level}"


@dataclass(frozen=True)
class ScheduleTrigger:
    """A stage begins at a fixed step, or after so many words or tokens.

    Args:
        steps, words, tokens: one number a stage, rising; exactly one of the three.
    """

    steps: list[int] = field(default_factory=list)
    words: list[float] = field(default_factory=list)
    tokens: list[float] = field(default_factory=list)

    def __post_init__(self):
        _only_one("schedule", steps=self.steps, words=self.words, tokens=self.tokens)

    @property
    def unit(self) -> str:
        return "step" if self.steps else "words" if self.words else "tokens"

    @property
    def events(self) -> int:
        return len(self.steps or self.words or self.tokens)

    def reason(self, progress: Progress, stages_done: int) -> str | None:
        levels = self.steps or self.words or self.tokens
        if stages_done >= len(levels) or getattr(progress, self.unit) < levels[stages_done]:
            return None
        return f"{self.unit} {getattr(progress, self.unit):,.0f} >= {levels[stages_done]:,}"
