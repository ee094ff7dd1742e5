"""The growth section of a config, made into a trigger and an operator."""

import dataclasses
from dataclasses import dataclass
from typing import Any

from tokenformer.config.building import build
from tokenformer.config.sections import Growth
from tokenformer.errors import UserError
from tokenformer.growth import OPERATORS, TRIGGERS
from tokenformer.growth.operator import GrowthOperator
from tokenformer.growth.parameter_state import NEW_MOMENTS
from tokenformer.growth.triggers import Progress, Trigger


def from_registry(registry: dict[str, type], section: dict[str, Any], where: str, name: str) -> Any:
    """An instance of the class that `section["name"]` names, with the section's other keys as its parameters."""
    chosen = section.get("name")
    if not isinstance(chosen, str) or chosen not in registry:
        raise UserError(f"{name}: {where}.name is {chosen!r}; choose one of {', '.join(registry)}")
    parameters = {key: value for key, value in section.items() if key != "name"}
    try:
        return build(parameters, registry[chosen], where, name)
    except UserError as error:
        raise error if str(error).startswith(name) else UserError(f"{name}: {where}: {error}") from None


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
    new_moments: str = "keep"
    learning_rate_follows_width: bool = True
    warmup_steps: int = 0
    learning_rate_factor: float = 1.0

    def operator_of(self, stage: int) -> GrowthOperator:
        """The operator of a growth event; events are counted from 1."""
        return self.operators[stage - 1]

    def reason(self, progress: Progress, event_steps: list[int]) -> str | None:
        """Why to grow after this step, given the steps of the events so far; None when not."""
        earliest = self.earliest_step
        if event_steps:
            earliest = max(earliest, event_steps[-1] + self.minimum_steps_between)
        if progress.step < earliest:
            return None
        return self.trigger.reason(progress, len(event_steps))


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
            from_registry(OPERATORS, parameters, f"{where}.{index}", name) for index, parameters in enumerate(section)
        )
    else:
        operators = (from_registry(OPERATORS, section, where, name),) * events
    for operator in operators:
        if model_type not in operator.model_types:
            raise UserError(
                f"{name}: {where}: {operator.name} grows {' and '.join(operator.model_types)}, not {model_type}"
            )
    return operators


def _check_new_elements(section: Growth, events: int, name: str) -> None:
    """The settings of what new elements learn."""
    if section.new_moments not in NEW_MOMENTS:
        raise UserError(
            f"{name}: growth.new_moments is {section.new_moments!r}; choose one of {', '.join(NEW_MOMENTS)}"
        )
    if section.warmup_steps < 0:
        raise UserError(f"{name}: growth.warmup_steps is {section.warmup_steps}; it must be 0 or more")
    if not section.learning_rate_factor > 0:
        raise UserError(f"{name}: growth.learning_rate_factor is {section.learning_rate_factor}; it must be above 0")
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
    trigger = from_registry(TRIGGERS, section.trigger, "growth.trigger", name)
    operators = {
        of_type: operators_of_events(parameters, of_type, trigger.events, name)
        for of_type, parameters in section.operators.items()
    }
    _check_new_elements(section, trigger.events, name)
    if model_type not in operators:
        return None
    limits = {
        field.name: getattr(section, field.name)
        for field in dataclasses.fields(section)
        if field.name not in ("trigger", "operators")
    }
    return GrowthPolicy(trigger=trigger, operators=operators[model_type], **limits)
