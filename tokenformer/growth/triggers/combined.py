"""Triggers made of triggers."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from tokenformer.config.building import Checked
from tokenformer.config.keys import REQUIRED, key
from tokenformer.errors import UserError
from tokenformer.growth.triggers.losses import LossHistory, LossNeed
from tokenformer.growth.triggers.trigger import Progress, Trigger


@dataclass(frozen=True)
class CombinedTrigger(Checked):
    """The base of `any` and `all`. Each event counts for every trigger in them, whichever of them brought it."""

    of: list[Any] = key(REQUIRED, "the triggers, one or more", registry="trigger")

    def __post_init__(self):
        super().__post_init__()
        if not self.of:
            raise UserError("of must list one trigger or more")

    @property
    def needs(self) -> tuple[LossNeed, ...]:
        return tuple(need for trigger in self.of for need in trigger.needs)

    def _reasons(self, progress: Progress, event_steps: Sequence[int], losses: LossHistory) -> list[str | None]:
        return [trigger.reason(progress, event_steps, losses) for trigger in self.of]


class AnyTrigger(CombinedTrigger):
    """A stage begins when one of the triggers would begin it."""

    name = "any"

    @property
    def events(self) -> int | None:
        bounds = [trigger.events for trigger in self.of]
        return None if None in bounds else max(bounds)

    def reason(self, progress: Progress, event_steps: Sequence[int], losses: LossHistory) -> str | None:
        reasons = self._reasons(progress, event_steps, losses)
        return next((reason for reason in reasons if reason is not None), None)


class AllTrigger(CombinedTrigger):
    """A stage begins when every one of the triggers would begin it."""

    name = "all"

    @property
    def events(self) -> int | None:
        return min((trigger.events for trigger in self.of if trigger.events is not None), default=None)

    def reason(self, progress: Progress, event_steps: Sequence[int], losses: LossHistory) -> str | None:
        reasons = self._reasons(progress, event_steps, losses)
        found = [reason for reason in reasons if reason is not None]
        return " and ".join(found) if len(found) == len(reasons) else None


def single_triggers(trigger: Trigger) -> Iterator[Trigger]:
    """The triggers that are not made of others, in the order in which they stand."""
    if not isinstance(trigger, CombinedTrigger):
        yield trigger
        return
    for part in trigger.of:
        yield from single_triggers(part)
