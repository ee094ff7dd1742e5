"""Growth by the course of a loss: when training stops to pay, and not while the model overfits."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from tokenformer.config.building import Checked
from tokenformer.config.keys import REQUIRED, key
from tokenformer.growth.triggers.losses import SOURCES, LossHistory, LossNeed, LossPoint
from tokenformer.growth.triggers.trigger import Progress

PETAFLOP = 1e15


def moving_averages(values: Sequence[float], count: int) -> list[float]:
    """The mean of every `count` values that follow one another: [n] gives [n - count + 1]."""
    return [math.fsum(values[end - count : end]) / count for end in range(count, len(values) + 1)]


def improvements(points: Sequence[LossPoint], smoothing: int) -> list[float]:
    """Relative fall of the smoothed loss a petaflop of training, from each smoothed point to the next.

    With s and f the means of the loss and of the FLOPs over `smoothing` points, (s - s') / s / (f' - f) * 1e15;
    negative where the loss rises, 0 where it is 0 already.
    """
    losses = moving_averages([point.loss for point in points], smoothing)
    petaflops = moving_averages([point.flops / PETAFLOP for point in points], smoothing)
    rates = []
    for index, loss in enumerate(losses[:-1]):
        fall = (loss - losses[index + 1]) / loss if loss != 0 else 0.0
        rates.append(fall / (petaflops[index + 1] - petaflops[index]))
    return rates


@dataclass(frozen=True)
class PlateauTrigger(Checked):
    """A stage begins when the loss falls too little for what training costs.

    Only losses of the present stage count. Between each two of its points that follow one another, smoothed, the
    relative fall of the loss is divided by the FLOPs spent; the last `patience` of these rates have to be below
    `improvement_per_petaflop`, all of them. A loss that rises is below any rate; one that is no finite number is not.
    """

    improvement_per_petaflop: float = key(
        REQUIRED, "grow when a petaflop (1e15 FLOPs) lowers the loss by less than this share of it", above=0
    )
    loss: str = key("validation", "validation: a point every tokens.val_check_interval steps", choices=SOURCES)
    average_steps: int = key(50, "training steps whose mean loss makes a point; for training losses alone", least=1)
    smoothing: int = key(1, "points of the moving average; 1 does not smooth", least=1, most=10_000)
    patience: int = key(2, "how many falls in a row must be below improvement_per_petaflop", least=1, most=10_000)
    cooldown: int = key(0, "steps after a growth event whose losses do not count", least=0)
    minimum_points: int = key(
        0, "smallest number of loss points in the stage; smoothing + patience in any case", least=0, most=100_000
    )
    events: int = key(1, "most growth events of the run that this trigger begins", least=1, most=1000)

    name = "plateau"

    @property
    def points(self) -> int:
        """Points of the stage without which nothing begins."""
        return max(self.minimum_points, self.smoothing + self.patience)

    @property
    def _need(self) -> LossNeed:
        return LossNeed(self.loss, self.average_steps if self.loss == "training" else 1, self.points)

    @property
    def needs(self) -> tuple[LossNeed, ...]:
        return (self._need,)

    def fall_between_points(self, flops: float) -> float:
        """Share by which the loss must fall from one point to the next, so many FLOPs apart, to be no plateau."""
        return self.improvement_per_petaflop * flops / PETAFLOP

    def reason(self, progress: Progress, event_steps: Sequence[int], losses: LossHistory) -> str | None:
        points = self._points_of_stage(event_steps, losses)
        if len(event_steps) >= self.events or len(points) < self.points:
            return None
        rates = improvements(points, self.smoothing)[-self.patience :]
        if not all(math.isfinite(rate) and rate < self.improvement_per_petaflop for rate in rates):
            return None
        return f"{self.loss} loss falls by {max(rates):.4g} a petaflop < {self.improvement_per_petaflop:g}"

    def _points_of_stage(self, event_steps: Sequence[int], losses: LossHistory) -> list[LossPoint]:
        points = losses.newest(self._need)
        if not event_steps:
            return list(points)
        first = event_steps[-1] + self.cooldown
        return [point for point in points if point.step - self._need.window >= first]


@dataclass(frozen=True)
class ValidationNotRising(Checked):
    """Holds unless the smoothed validation loss has risen at each of the last `patience` measurements.

    It is a condition to combine with a trigger: no growth while the model overfits. It does not hold before there are
    smoothing + patience measurements. It bounds no number of events, so it stands under `all` beside a trigger that
    does. On text that is read again and again the gap between training and validation is a signal: FRAGrow
    (arXiv:2401.03104) grows the later, the more a model overfits.
    """

    smoothing: int = key(1, "measurements of the moving average; 1 does not smooth", least=1, most=10_000)
    patience: int = key(2, "rises in a row that hold growth back", least=1, most=10_000)

    name = "validation_not_rising"
    events = None

    @property
    def _need(self) -> LossNeed:
        return LossNeed("validation", 1, self.smoothing + self.patience)

    @property
    def needs(self) -> tuple[LossNeed, ...]:
        return (self._need,)

    def reason(self, progress: Progress, event_steps: Sequence[int], losses: LossHistory) -> str | None:
        points = losses.newest(self._need)
        if len(points) < self._need.points:
            return None
        averages = moving_averages([point.loss for point in points], self.smoothing)
        falls = [
            later <= earlier and math.isfinite(later) for earlier, later in zip(averages, averages[1:], strict=False)
        ]
        return "validation loss does not rise" if any(falls) else None
