"""The protocol and the registry of triggers."""

from collections.abc import Sequence
from typing import Protocol

from tokenformer.config.registry import Registry
from tokenformer.growth.triggers.losses import LossHistory, LossNeed
from tokenformer.growth.triggers.progress import Progress


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

    def reason(self, progress: Progress, event_steps: Sequence[int], losses: LossHistory) -> str | None:
        """Why the next stage begins now, or None when it does not.

        Args:
            event_steps: steps after which the run grew, until now.
            losses: of at least the series that `needs` names.
        """


TRIGGERS: Registry[type[Trigger]] = Registry("trigger")
"""Name -> class; the package enters them."""
