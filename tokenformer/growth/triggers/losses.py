"""The losses that triggers read: a short history of points, which a checkpoint records whole."""

import dataclasses
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

SOURCES = ("validation", "training")


@dataclass(frozen=True)
class LossPoint:
    """A loss of a run.

    Args:
        step: training steps done when it was measured.
        flops: training FLOPs of the run until then.
        loss: in nats a token.
    """

    step: int
    flops: float
    loss: float


@dataclass(frozen=True)
class LossNeed:
    """The losses that a trigger reads.

    Args:
        source: "validation" (a point at every held-out measurement) or "training".
        window: training steps whose mean loss makes a point; 1 for validation.
        points: how many of the newest points.
    """

    source: str
    window: int
    points: int


@dataclass(frozen=True)
class LossSeries:
    """The newest points of one source and window, and the window that is not full yet.

    Args:
        capacity: most points that are kept.
        points: oldest first.
        total, count: sum and number of the losses since the newest point.
    """

    source: str
    window: int
    capacity: int
    points: tuple[LossPoint, ...] = ()
    total: float = 0.0
    count: int = 0

    def with_loss(self, step: int, flops: float, loss: float, event_steps: Sequence[int]) -> "LossSeries":
        """The series after one more loss; a window in which the model grew is begun anew."""
        total, count = self.total, self.count
        if event_steps and step - 1 - count < event_steps[-1]:
            total, count = 0.0, 0
        total, count = total + loss, count + 1
        if count < self.window:
            return dataclasses.replace(self, total=total, count=count)
        points = (*self.points, LossPoint(step, flops, total / count))[-self.capacity :]
        return dataclasses.replace(self, points=points, total=0.0, count=0)


@dataclass(frozen=True)
class LossHistory:
    """All losses that the triggers of a run read; not changed but replaced by a longer one."""

    series: tuple[LossSeries, ...] = ()

    @classmethod
    def of(cls, needs: Iterable[LossNeed]) -> "LossHistory":
        """The empty history of a run whose triggers need these losses."""
        capacities: dict[tuple[str, int], int] = {}
        for need in needs:
            key = (need.source, need.window)
            capacities[key] = max(need.points, capacities.get(key, 0))
        return cls(tuple(LossSeries(*key, capacity) for key, capacity in sorted(capacities.items())))

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> "LossHistory":
        """The history that `dataclasses.asdict` made into a record, which may have been written as JSON."""
        return cls(
            tuple(
                LossSeries(**{**series, "points": tuple(LossPoint(**point) for point in series["points"])})
                for series in record["series"]
            )
        )

    def reads(self, source: str) -> bool:
        """Tells whether any trigger reads losses of this source."""
        return any(series.source == source for series in self.series)

    def fits(self, other: "LossHistory") -> bool:
        """Tells whether both hold the same series, whatever is in them."""
        ours, theirs = (
            [(series.source, series.window, series.capacity) for series in history.series] for history in (self, other)
        )
        return ours == theirs

    def with_loss(self, source: str, step: int, flops: float, loss: float, event_steps: Sequence[int]) -> "LossHistory":
        """The history after a loss that was measured when `step` steps were done.

        Args:
            flops: training FLOPs of the run until then.
            loss: in nats a token; for "training" that of every single step has to be given, in order.
            event_steps: steps after which the run grew, all before this loss.
        """
        return LossHistory(
            tuple(
                series.with_loss(step, flops, loss, event_steps) if series.source == source else series
                for series in self.series
            )
        )

    def newest(self, need: LossNeed) -> tuple[LossPoint, ...]:
        """The points that were asked for, oldest first, or as many of them as there are yet."""
        for series in self.series:
            if (series.source, series.window) == (need.source, need.window):
                return series.points[-need.points :]
        return ()
