"""Levels that are taken one after the other, one for each growth event."""

from collections.abc import Sequence

from tokenformer.errors import UserError


def chosen_levels(trigger: str, **lists: list) -> str:
    """The key of the only list that is given.

    Raises:
        UserError: none or several are given.
    """
    given = [key for key, values in lists.items() if values]
    if len(given) != 1:
        raise UserError(f"{trigger}: give exactly one of {', '.join(lists)}")
    return given[0]


def next_level(levels: Sequence[float], event_steps: Sequence[int]) -> float | None:
    """The level of the growth event that comes next, None after the last."""
    return levels[len(event_steps)] if len(event_steps) < len(levels) else None
