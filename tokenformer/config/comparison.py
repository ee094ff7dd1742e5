"""Finds in what two configs differ."""

from collections.abc import Iterator
from typing import Any


def differences(first: Any, second: Any) -> Iterator[tuple[str, Any, Any]]:
    """Dotted key and both values, None for a missing one, of every leaf in which two nested configs differ, by key.

    Args:
        first, second: dictionaries, lists and values; an index of a list is a part of the key.
    """
    ours, theirs = _flat(first), _flat(second)
    for key in sorted(ours.keys() | theirs.keys()):
        if ours.get(key) != theirs.get(key):
            yield key, ours.get(key), theirs.get(key)


def _flat(value: Any, path: str = "") -> dict[str, Any]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else None
    if items is None:
        return {path: value}
    flat = {}
    for key, child in items:
        flat.update(_flat(child, f"{path}.{key}" if path else str(key)))
    return flat
