"""The protocol and the registry of triggers."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from tokenformer.config.registry import Registry
from tokenformer.growth.triggers.losses import LossHistory, LossNeed


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


class Trigger(Protocol):
    """Says when a stage begins, by nothing but its arguments: all ranks and a resumed run decide the same.

    A frozen dataclass whose fields are what the user may set; `name` is its name in the registry and in the YAML.

    A trigger that holds levels takes the first for the first growth event, and so on, whatever brought the events.
    """

    name: str

    @property
    def events(self) -> int | None:
        """How many growth events there can be; None where the trigger sets no bound."""

    @property
    def needs(self) -> tuple[LossNeed, ...]:
        """The losses that `reason` reads."""
        ...

    def reason(self, progress: Progress, event_steps: Sequence[int], losses: LossHistory) -> str | None:
        """Why the next stage begins now, or None when it does not.

        Args:
            event_steps: steps after which the run grew, until now.
            losses: of at least the series that `needs` names.
        """


TRIGGERS: Registry[type[Trigger]] = Registry("trigger")
"""Name -> class; the package enters them."""
