"""Where tasks get items that are made and not read: `data: {generator: NAME, parameters: {...}}` in a task's YAML."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

PairGenerator = Callable[..., Iterable[Mapping[str, Any]]]
"""Called with the `parameters` of the YAML as keywords and, where the task has subtasks, with `subtask`, the name of
one. It gives records with the fields that the task's `pairs` or `options` name, always the same ones for the same
arguments."""

PAIR_GENERATORS: dict[str, PairGenerator] = {}
"""Generators by name. A line here and a task file are all that a new one needs."""
