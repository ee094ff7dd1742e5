"""Which growth events a run will have, as far as that is known before it starts."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tokenformer.growth.policy import GrowthPolicy
from tokenformer.growth.triggers import LossHistory, Progress


@dataclass(frozen=True)
class ExpectedEvent:
    """A growth event that may come.

    Args:
        earliest: step after which it comes at the earliest.
        latest: step after which it comes at the latest; None when it may never come.
        reason: why it comes then; None when losses have a say in the step.
    """

    earliest: int
    latest: int | None
    reason: str | None


@dataclass(frozen=True)
class PlannedRun:
    """What is known of a run before it starts.

    Args:
        steps: of the whole run.
        progress: where the run stands after a step, given the steps after which it grew until then.
        measures_validation: whether held-out loss is measured after a step.
    """

    steps: int
    progress: Callable[[int, Sequence[int]], Progress]
    measures_validation: Callable[[int], bool]


def _events(policy: GrowthPolicy, run: PlannedRun, losses_stand_still: bool) -> list[tuple[int, str]]:
    """Step and reason of each event, if losses stand still from the first step on, or without any loss."""
    events: list[tuple[int, str]] = []
    losses = LossHistory.of(policy.trigger.needs)
    for step in range(run.steps):
        event_steps = [event_step for event_step, _ in events]
        progress = run.progress(step, event_steps)
        if losses_stand_still and step:
            losses = losses.with_loss("training", step, progress.flops, 1.0, event_steps)
            if run.measures_validation(step):
                losses = losses.with_loss("validation", step, progress.flops, 1.0, event_steps)
        reason = policy.reason(progress, event_steps, losses)
        if reason is not None:
            events.append((step, reason))
    return events


def expected_events(policy: GrowthPolicy, run: PlannedRun) -> list[ExpectedEvent]:
    """The growth events that may come, in order.

    No losses let a trigger hold sooner than losses that stand still, and none let it hold later than the absence of
    losses. A sooner event never makes the next one later, since no level is taken back and every condition on the
    distance to the last event only grows easier. So these two runs bound all others.
    """
    latest = _events(policy, run, losses_stand_still=False)
    if not policy.trigger.needs:
        return [ExpectedEvent(step, step, reason) for step, reason in latest]
    expected, is_certain = [], True
    for number, (step, _) in enumerate(_events(policy, run, losses_stand_still=True)):
        latest_step, reason = latest[number] if number < len(latest) else (None, None)
        is_certain = is_certain and latest_step == step
        expected.append(ExpectedEvent(step, latest_step, reason if is_certain else None))
    return expected
