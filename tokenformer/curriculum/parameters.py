"""Parameters of measures and orderings: a frozen dataclass each, filled from the user's keys."""

import dataclasses
import difflib
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


def number_between(owner: str, key: str, value: Any, low: float, high: float, low_included: bool) -> None:
    """Raises UserError unless `value` is a number in (low, high], or in [low, high] where `low_included`."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if is_number and value <= high and (value >= low if low_included else value > low):
        return
    bracket = "[" if low_included else "("
    raise UserError(f"{owner}: {key} must be a number in {bracket}{low:g}, {high:g}], not {value!r}")
