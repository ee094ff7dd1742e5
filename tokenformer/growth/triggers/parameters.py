"""Checks that the parameters of several triggers need, and levels that are taken one after the other."""

import math
from collections.abc import Sequence

from tokenformer.errors import UserError


def chosen_levels(trigger: str, **lists: list) -> str:
    """The key of the only list that is given.

    Raises:
        UserError: none or several are given, or its levels do not rise.
    """
    given = [key for key, values in lists.items() if values]
    if len(given) != 1:
        raise UserError(f"{trigger}: give exactly one of {', '.join(lists)}")
    levels = lists[given[0]]
    rises = all(earlier < later for earlier, later in zip(levels, levels[1:], strict=False))
    if not rises or not all(map(math.isfinite, levels)):
        raise UserError(f"{trigger}: {given[0]} must be a rising list, not {levels}")
    return given[0]


def next_level(levels: Sequence[float], event_steps: Sequence[int]) -> float | None:
    """The level of the growth event that comes next, None after the last."""
    return levels[len(event_steps)] if len(event_steps) < len(levels) else None


def check_least(trigger: str, least: dict[str, int], values: object) -> None:
    """Every attribute is its least value or more.

    Raises:
        UserError: one is less.
    """
    for key, lowest in least.items():
        if getattr(values, key) < lowest:
            raise UserError(f"{trigger}: {key} is {getattr(values, key)}; it must be {lowest} or more")
