"""Where tasks get items that are made and not read: `data: {generator: NAME, parameters: {...}}` in a task's YAML."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from tokenformer.corpora.minimal_pairs import pairs_of

PairGenerator = Callable[..., Iterable[Mapping[str, Any]]]
"""Called with the `parameters` of the YAML as keywords and, where the task has subtasks, with `subtask`, the name of
one. It gives records with the fields that the task's `pairs` or `options` name, always the same ones for the same
arguments."""


def minimal_pairs(
    n: int,
    seed: int = 0,
    subtask: str | None = None,
    language: str | None = None,
    of_language: Mapping[str, Mapping[str, Any]] | None = None,
) -> list[Mapping[str, Any]]:
    """`n` pairs of the formal language or code that `language`, or else `subtask`, names (see `corpora.minimal_pairs`).

    Args:
        of_language: parameters of languages, by their names.

    Raises:
        UserError: another name or parameter, or fewer pairs.
    """
    name = language or subtask or ""
    return [pair.as_dict() for pair in pairs_of(name, n, seed, **(of_language or {}).get(name, {}))]


PAIR_GENERATORS: dict[str, PairGenerator] = {"minimal_pairs": minimal_pairs}
"""Generators by name. A line here and a task file are all that a new one needs."""
