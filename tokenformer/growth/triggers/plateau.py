"""Growth when training stops to pay."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from tokenformer.errors import UserError
from tokenformer.growth.triggers.improvement import PETAFLOP, improvements
from tokenformer.growth.triggers.losses import SOURCES, LossHistory, LossNeed, LossPoint
from tokenformer.growth.triggers.parameters import check_least
from tokenformer.growth.triggers.progress import Progress


@dataclass(frozen=True)
class PlateauTrigger:
    """A stage begins when the loss falls too little for what training costs.

    Only losses of the present stage count. Between each two of its points that follow one another, smoothed, the
    relative fall of the loss is divided by the FLOPs spent; the last `patience` of these rates have to be below
    `improvement_per_petaflop`, all of them. A loss that rises is below any rate; one that is no finite number is not.

    Args:
        improvement_per_petaflop: the rate, as a share of the loss a petaflop (1e15 FLOPs) of training: 0.02 grows when
            a petaflop makes the loss less than 2 % lower.
        loss: "validation", a point at every `tokens.val_check_interval` steps, or "training".
        average_steps: training steps whose mean loss makes a point; for training losses alone.
        smoothing: points of the moving average; 1 does not smooth.
        patience: rates in a row that have to be below.
        cooldown: steps after a growth event whose losses do not count.
        minimum_points: points of the stage that have to be there; smoothing + patience are needed in any case.
        events: most growth events of the run that this trigger begins.
    """

    improvement_per_petaflop: float
    loss: str = "validation"
    average_steps: int = 50
    smoothing: int = 1
    patience: int = 2
    cooldown: int = 0
    minimum_points: int = 0
    events: int = 1

    def __post_init__(self):
        if self.loss not in SOURCES:
            raise UserError(f"plateau: loss is {self.loss!r}; choose one of {', '.join(SOURCES)}")
        if not self.improvement_per_petaflop > 0:
            raise UserError(
                f"plateau: improvement_per_petaflop is {self.improvement_per_petaflop}; it must be above 0, or no loss "
                "that still falls is a plateau"
            )
        least = {"average_steps": 1, "smoothing": 1, "patience": 1, "cooldown": 0, "minimum_points": 0, "events": 1}
        check_least("plateau", least, self)

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
