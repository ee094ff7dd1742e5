"""Dataclasses from parsed YAML, with errors that name the file, the dotted key and the remedy."""

import dataclasses
import difflib
import os.path
import types
import typing
from collections.abc import Iterable
from typing import Any

from tokenformer.errors import UserError


def build(content: Any, section: type, where: str, name: str) -> Any:
    """An instance of the dataclass `section` from a mapping.

    An int is taken where a float is asked for; text such as "1e-3", which YAML does not read as a number, is too.

    Args:
        where: dotted path of the section, "" for the file itself.
        name: the file, for errors.

    Raises:
        UserError: no mapping, an unknown key (with the nearest one), a missing key or a wrong type.
    """
    if not isinstance(content, dict):
        raise UserError(f"{name}: {where or 'the file'} must be a section with keys, not {content!r}")
    hints = typing.get_type_hints(section)
    for key in content:
        if key not in hints:
            hint = f"did you mean {nearest_key(str(key), hints)}?" if hints else "there are none here"
            raise UserError(f"{name}: the key {_dotted(where, key)} is not known; {hint}")
    for field in dataclasses.fields(section):
        required = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        if required and field.name not in content:
            raise UserError(f"{name}: the key {_dotted(where, field.name)} is missing")
    return section(**{key: convert(value, hints[key], _dotted(where, key), name) for key, value in content.items()})


def nearest_key(key: str, choices: Iterable[str]) -> str:
    """The choice that is spelled most like `key`; among equals the one with the longest common beginning."""

    def likeness(choice: str) -> tuple[float, int]:
        return difflib.SequenceMatcher(None, key, choice).ratio(), len(os.path.commonprefix([key, choice]))

    return max(choices, key=likeness)


def _dotted(where: str, key: Any) -> str:
    return f"{where}.{key}" if where else str(key)


def convert(value: Any, annotation: Any, where: str, name: str) -> Any:
    """A value of the type that an annotation asks for; `where` is its dotted key."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if annotation is Any:
        return value
    if dataclasses.is_dataclass(annotation):
        return value if isinstance(value, annotation) else build(value, annotation, where, name)
    if origin in (typing.Union, types.UnionType):
        return _convert_union(value, arguments, where, name)
    if origin is list:
        if not isinstance(value, list):
            raise UserError(f"{name}: {where} must be a list, not {value!r}")
        return [convert(item, arguments[0], f"{where}.{index}", name) for index, item in enumerate(value)]
    if origin is dict:
        if not isinstance(value, dict):
            raise UserError(f"{name}: {where} must be a section with keys, not {value!r}")
        return {key: convert(item, arguments[1], _dotted(where, key), name) for key, item in value.items()}
    return _convert_scalar(value, annotation, where, name)


def _convert_union(value: Any, options: tuple, where: str, name: str) -> Any:
    """The option that fits: None, or the one of the options that is a list exactly when the value is."""
    if value is None and type(None) in options:
        return None
    rest = [option for option in options if option is not type(None)]
    fitting = [option for option in rest if (typing.get_origin(option) is list) == isinstance(value, list)]
    return convert(value, (fitting or rest)[0], where, name)


def _convert_scalar(value: Any, wanted: type, where: str, name: str) -> Any:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if wanted is float and (is_number or isinstance(value, str)):
        try:
            return float(value)
        except ValueError:
            pass
    elif (wanted is not int or is_number) and isinstance(value, wanted):
        return value
    raise UserError(f"{name}: {where} is {value!r}; it must be of type {wanted.__name__}")
