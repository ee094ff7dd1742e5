"""The growth section of a config, made into a trigger and an operator."""

import dataclasses
from dataclasses import dataclass
from typing import Any

from tokenformer.config.building import build
from tokenformer.config.sections import Growth
from tokenformer.errors import UserError
from tokenformer.growth import OPERATORS, TRIGGERS
from tokenformer.growth.operator import GrowthOperator
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
    """When and how a run of one model type grows."""

    trigger: Trigger
    operator: GrowthOperator
    earliest_step: int
    minimum_steps_between: int
    tolerance: float

    def reason(self, progress: Progress, event_steps: list[int]) -> str | None:
        """Why to grow after this step, given the steps of the events so far; None when not."""
        earliest = self.earliest_step
        if event_steps:
            earliest = max(earliest, event_steps[-1] + self.minimum_steps_between)
        if progress.step < earliest:
            return None
        return self.trigger.reason(progress, len(event_steps))


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
        of_type: from_registry(OPERATORS, parameters, f"growth.operators.{of_type}", name)
        for of_type, parameters in section.operators.items()
    }
    for of_type, operator in operators.items():
        if of_type not in operator.model_types:
            raise UserError(
                f"{name}: growth.operators.{of_type}: {operator.name} grows {' and '.join(operator.model_types)}, not {of_type}"
            )
    if model_type not in operators:
        return None
    limits = {
        field.name: getattr(section, field.name)
        for field in dataclasses.fields(section)
        if field.name not in ("trigger", "operators")
    }
    return GrowthPolicy(trigger=trigger, operator=operators[model_type], **limits)
