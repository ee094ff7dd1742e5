"""A key of a section: its type, default, bounds, choices and meaning stand at the dataclass field, and nowhere else."""

import copy
import dataclasses
import math
from dataclasses import dataclass
from typing import Any

from tokenformer.errors import UserError

REQUIRED = dataclasses.MISSING
"""The default of a key that the user has to give."""

LARGEST = 2**53
"""The bound of numbers without one of their own: beyond it, whole numbers and floats are not the same any more."""


@dataclass(frozen=True)
class Key:
    """The bounds, choices and meaning of a key, besides its type.

    The bounds hold for a number, and for every number of a list. A number that is not finite is refused for every key.

    Attributes:
        about: the meaning in a few words; they stand in the shipped YAML files and in docs/configuration.md.
        least, most: the smallest and the largest value.
        above, below: bounds that are not values themselves.
        choices: the values that there are; beside bounds, the words that may stand in the place of a number.
        rising: a list's numbers must rise.
        registry: the kind of a `Registry` in which the name of the section, or of every section in the list, is found.
        remedy: what an error says in the place of the choices.
        also: what other programs call this key; it is suggested for these names, which are not accepted.
    """

    about: str = ""
    least: float | None = None
    most: float | None = None
    above: float | None = None
    below: float | None = None
    choices: tuple | None = None
    rising: bool = False
    registry: str | None = None
    remedy: str = ""
    also: tuple[str, ...] = ()

    @property
    def bounds(self) -> str:
        """The bounds in words, "" where there are none."""
        low = [f"{_plain(self.least)} or more"] if self.least is not None else []
        low += [f"above {_plain(self.above)}"] if self.above is not None else []
        high = [f"at most {_plain(self.most)}"] if self.most is not None else []
        high += [f"below {_plain(self.below)}"] if self.below is not None else []
        return " and ".join(low + high)

    def holds(self, number: float) -> bool:
        """Tells whether a number lies within the bounds."""
        has_end = self.most is not None or self.below is not None
        return (
            (has_end or abs(number) <= LARGEST)
            and (self.least is None or number >= self.least)
            and (self.most is None or number <= self.most)
            and (self.above is None or number > self.above)
            and (self.below is None or number < self.below)
        )


ANY = Key()


def key(default: Any, about: str = "", *, choices: Any = None, **limits: Any) -> Any:
    """A dataclass field that is a key of a section; see `Key` for `about`, `choices` and the limits.

    Args:
        default: REQUIRED, or the value of a key that is left out; lists and sections are copied for each owner.
    """
    metadata = {"key": Key(about, choices=None if choices is None else tuple(choices), **limits)}
    if default is REQUIRED:
        return dataclasses.field(metadata=metadata)
    if isinstance(default, list | dict) or dataclasses.is_dataclass(default):
        return dataclasses.field(default_factory=lambda: copy.deepcopy(default), metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


def key_of(field: dataclasses.Field) -> Key:
    """The `Key` of a field; an empty one where `key` did not make the field."""
    return field.metadata.get("key", ANY)


def check_value(value: Any, key: Key, where: str) -> None:
    """Raises UserError, naming `where`, unless a value is within the bounds and among the choices; None always is."""
    if isinstance(value, list | tuple):
        for item in value:
            _check_single(item, key, value, where)
        if key.rising and any(first >= second for first, second in zip(value, value[1:], strict=False)):
            raise UserError(f"{where} is {value!r}; it must be a list of rising numbers")
    else:
        _check_single(value, key, value, where)


def _check_single(value: Any, key: Key, shown: Any, where: str) -> None:
    if value is None:
        return
    choices = key.choices if isinstance(value, str) or not key.bounds else None
    if choices is not None and not any(value == choice and type(value) is type(choice) for choice in choices):
        choose = f"choose one of {', '.join(map(str, choices))}" if not key.remedy else key.remedy
        choose += f", or a number: {key.bounds}" if key.bounds else ""
        raise UserError(f"{where} is {shown!r}; {choose}")
    if isinstance(value, int | float) and not isinstance(value, bool):
        if not math.isfinite(value):
            raise UserError(f"{where} is {shown!r}; it must be a finite number{key.bounds and ', '}{key.bounds}")
        if not key.holds(value):
            raise UserError(f"{where} is {shown!r}; it must be {key.bounds or f'at most {LARGEST}'}")


def _plain(number: float) -> str:
    return f"{number:,.0f}" if number == int(number) and abs(number) < 1e12 else f"{number:.12g}"
