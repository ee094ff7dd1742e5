"""No growth while the model overfits: a condition to combine with a trigger."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from tokenformer.config.building import Checked
from tokenformer.config.keys import key
from tokenformer.growth.triggers.improvement import moving_averages
from tokenformer.growth.triggers.losses import LossHistory, LossNeed
from tokenformer.growth.triggers.progress import Progress


@dataclass(frozen=True)
class ValidationNotRising(Checked):
    """Holds unless the smoothed validation loss has risen at each of the last `patience` measurements.

    It does not hold before there are smoothing + patience measurements. It bounds no number of events, so it stands
    under `all` beside a trigger that does. On text that is read again and again the gap between training and validation
    is a signal: FRAGrow (arXiv:2401.03104) grows the later, the more a model overfits.
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
