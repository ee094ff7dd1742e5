"""When and how a run grows: the policy that the growth section of a config makes, and the events to expect of it."""

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from tokenformer.config.added_sections import Growth
from tokenformer.config.building import build_named
from tokenformer.errors import UserError
from tokenformer.growth import OPERATORS, TRIGGERS
from tokenformer.growth.operator import GrowthOperator
from tokenformer.growth.triggers import LossHistory, Progress, Trigger


@dataclass(frozen=True)
class GrowthPolicy:
    """When and how a run of one model type grows.

    Args:
        operators: one for each growth event that there can be.
        new_moments, learning_rate_follows_width, warmup_steps, learning_rate_factor: see `sections.Growth`.
    """

    trigger: Trigger
    operators: tuple[GrowthOperator, ...]
    earliest_step: int
    minimum_steps_between: int
    tolerance: float
    latest_step: int | None = None
    new_moments: str = "keep"
    learning_rate_follows_width: bool = True
    warmup_steps: int = 0
    learning_rate_factor: float = 1.0

    @property
    def events(self) -> int:
        """How many growth events there can be."""
        return len(self.operators)

    def operator_of(self, stage: int) -> GrowthOperator:
        """The operator of a growth event; events are counted from 1."""
        return self.operators[stage - 1]

    def reason(self, progress: Progress, event_steps: Sequence[int], losses: LossHistory) -> str | None:
        """Why to grow after this step, None when not.

        Args:
            event_steps: steps after which the run grew, until now.
            losses: of the series that the trigger needs, until this step.
        """
        earliest = self.earliest_step
        if event_steps:
            earliest = max(earliest, event_steps[-1] + self.minimum_steps_between)
        is_over = self.latest_step is not None and progress.step > self.latest_step
        if progress.step < earliest or is_over:
            return None
        return self.trigger.reason(progress, event_steps, losses)


def _checked_trigger(section: Growth, name: str) -> tuple[Trigger, int]:
    """The trigger, and how many growth events there can be."""
    trigger = build_named(section.trigger, TRIGGERS, "growth.trigger", name)
    events = trigger.events
    if events is None:
        raise UserError(
            f"{name}: growth.trigger: {section.trigger['name']} sets no bound to the number of growth events; put it "
            "under `all`, together with a trigger that does"
        )
    if section.latest_step is not None and section.latest_step < section.earliest_step:
        raise UserError(
            f"{name}: growth.latest_step is {section.latest_step}, before growth.earliest_step {section.earliest_step}"
        )
    return trigger, events


def operators_of_events(
    section: dict[str, Any] | list[dict[str, Any]], model_type: str, events: int, name: str
) -> tuple[GrowthOperator, ...]:
    """An operator for each event: the same one for all, or those of a list, one after the other."""
    where = f"growth.operators.{model_type}"
    if isinstance(section, list):
        if len(section) != events:
            raise UserError(
                f"{name}: {where} lists {len(section)} operators, and growth.trigger makes {events} events; give each "
                f"event its operator, or one for all without a list"
            )
        operators = tuple(
            build_named(parameters, OPERATORS, f"{where}.{index}", name) for index, parameters in enumerate(section)
        )
    else:
        operators = (build_named(section, OPERATORS, where, name),) * events
    for operator in operators:
        if model_type not in operator.model_types:
            raise UserError(
                f"{name}: {where}: {operator.name} grows {' and '.join(operator.model_types)}, not {model_type}"
            )
    return operators


def _check_new_elements(section: Growth, events: int, name: str) -> None:
    """The settings of what new elements learn."""
    if events > 1 and section.warmup_steps > section.minimum_steps_between:
        raise UserError(
            f"{name}: growth.warmup_steps {section.warmup_steps} is more than growth.minimum_steps_between "
            f"{section.minimum_steps_between}, and the next event ends the warm-up; raise minimum_steps_between"
        )


def growth_policy(section: Growth | None, model_type: str, name: str) -> GrowthPolicy | None:
    """The policy for a model type; None when the config has no growth, or no operator for this type.

    Args:
        name: the config's file, for errors.

    Raises:
        UserError: an unknown trigger, operator or parameter, or an operator that is for another model type.
    """
    if section is None:
        return None
    trigger, events = _checked_trigger(section, name)
    operators = {
        of_type: operators_of_events(parameters, of_type, events, name)
        for of_type, parameters in section.operators.items()
    }
    _check_new_elements(section, events, name)
    if model_type not in operators:
        return None
    limits = {
        field.name: getattr(section, field.name)
        for field in dataclasses.fields(section)
        if field.name not in ("trigger", "operators")
    }
    return GrowthPolicy(trigger=trigger, operators=operators[model_type], **limits)


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
    """The facts of a run that are known before it starts.

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
