"""Growth when training stops to pay."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from tokenformer.config.building import Checked
from tokenformer.config.keys import REQUIRED, key
from tokenformer.growth.triggers.improvement import PETAFLOP, improvements
from tokenformer.growth.triggers.losses import SOURCES, LossHistory, LossNeed, LossPoint
from tokenformer.growth.triggers.progress import Progress


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
    patience: int = key(2, "rates in a row that have to be below", least=1, most=10_000)
    cooldown: int = key(0, "steps after a growth event whose losses do not count", least=0)
    minimum_points: int = key(
        0, "points of the stage that have to be there; smoothing + patience in any case", least=0, most=100_000
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
        """By which share the loss has to fall from one point to the next, so many FLOPs apart, to be no plateau."""
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
