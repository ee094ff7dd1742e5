"""How Nanotron's own functions and classes are replaced, and the error where one is not what a repair expects."""

from typing import Any

from tokenformer.errors import UserError


def cannot_repair(repair: str, reason: str) -> UserError:
    """The error of a repair that is needed and finds no place."""
    return UserError(f"this Nanotron cannot be repaired ({repair}): {reason}; pip install nanotron==0.4")


def check_has(owner: Any, name: str, repair: str) -> None:
    """Raises UserError where a module or class of Nanotron lacks an attribute that a repair is to replace."""
    if not hasattr(owner, name):
        raise cannot_repair(repair, f"{owner.__name__} has no {name}")


def replace(owner: Any, name: str, value: Any, repair: str) -> None:
    """Sets an attribute that a module or class of Nanotron has.

    Args:
        repair: what it is for, for errors.

    Raises:
        UserError: it has no such attribute, so Nanotron would go on as it was.
    """
    check_has(owner, name, repair)
    setattr(owner, name, value)
