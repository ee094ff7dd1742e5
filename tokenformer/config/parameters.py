"""Parameters of measures, orderings and selections: a frozen dataclass each, filled from the user's keys."""

import dataclasses
import difflib
import math
from collections.abc import Mapping
from typing import Any

from tokenformer.errors import UserError


@dataclasses.dataclass(frozen=True)
class NoParameters:
    """For measures and orderings that have nothing to set."""


def filled_parameters(owner: str, kind: type, values: Mapping[str, Any]):
    """An instance of the dataclass `kind` with `values`; `owner` is what messages call it ("ordering 'paced'").

    Raises UserError for a key that `kind` does not have, naming the nearest one.
    """
    allowed = [field.name for field in dataclasses.fields(kind)]
    for key in values:
        if key not in allowed:
            nearest = difflib.get_close_matches(str(key), allowed, n=1)
            hint = f" (did you mean '{nearest[0]}'?)" if nearest else ""
            takes = f"it takes: {', '.join(allowed)}" if allowed else "it takes none"
            raise UserError(f"{owner} has no parameter '{key}'{hint}; {takes}")
    return kind(**values)


def is_number(value: Any) -> bool:
    """Whether it is a finite number; true and false are none."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def number_between(owner: str, key: str, value: Any, low: float, high: float, low_included: bool) -> None:
    """Raises UserError unless `value` is a number in (low, high], or in [low, high] where `low_included`."""
    if is_number(value) and value <= high and (value >= low if low_included else value > low):
        return
    bracket = "[" if low_included else "("
    raise UserError(f"{owner}: {key} must be a number in {bracket}{low:g}, {high:g}], not {value!r}")


def whole_number(owner: str, key: str, value: Any, least: int) -> None:
    """Raises UserError unless `value` is a whole number of at least `least`."""
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise UserError(f"{owner}: {key} must be a whole number of {least} or more, not {value!r}")


def true_or_false(owner: str, key: str, value: Any) -> None:
    """Raises UserError unless `value` is a truth value."""
    if not isinstance(value, bool):
        raise UserError(f"{owner}: {key} must be true or false, not {value!r}")


def rising_numbers(owner: str, key: str, values: Any, low: float = -math.inf, high: float = math.inf) -> None:
    """Raises UserError unless `values` is a list of rising numbers from `low` to `high`."""
    is_list = isinstance(values, list | tuple) and len(values) > 0
    if (
        is_list
        and all(is_number(value) and low <= value <= high for value in values)
        and all(first < second for first, second in zip(values, values[1:], strict=False))
    ):
        return
    bounds = "" if low == -math.inf else f" from {low:g} to {high:g}"
    raise UserError(f"{owner}: {key} must be a list of rising numbers{bounds}, not {values!r}")
