"""Checked dataclasses from parsed YAML, with errors that name the file, the dotted key and the remedy."""

import dataclasses
import types
import typing
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from tokenformer.config.keys import ANY, Key, check_value, key_of
from tokenformer.config.nearest import nearest_word
from tokenformer.config.registry import REGISTRIES, Registry
from tokenformer.errors import UserError


def build(content: Any, section: type, where: str, name: str) -> Any:
    """An instance of the dataclass `section` from a mapping.

    An int is taken where a float is asked for; text such as "1e-3", which YAML does not read as a number, is too.

    Args:
        where: dotted path of the section, "" for the file itself.
        name: the file, or what else errors begin with.

    Raises:
        UserError: no mapping, unknown keys (all of them, each with the nearest one), a missing key, a wrong type, a
            value beyond its bounds or choices, or what the dataclass itself refuses.
    """
    unknown = list(unknown_keys(content, section, where))
    if unknown:
        raise UserError(f"{name}: {'; '.join(unknown)}")
    return _build(content, section, where, name)


def build_named(section: Any, registry: Registry, where: str = "", name: str = "") -> Any:
    """What a section with a `name` stands for: the registry's dataclass, made of the section's other keys.

    Args:
        section: {name: ..., key: value, ...}.
        where, name: as in `build`; without them messages begin with what is built, as in "ordering 'paced'".

    Raises:
        UserError: as `build`, and for a name that the registry does not have.
    """
    begin = f"{name}: " if name else ""
    if not isinstance(section, Mapping):
        raise UserError(
            f"{begin}{where or registry.kind} must be a section with keys, not {section!r}; write it as {{name: ...}}"
        )
    chosen = section.get("name")
    kind = registry.find(chosen, f"{begin}{where}.name is {chosen!r}" if where else "")
    return build(_parameters(section), kind, where, name or f"{registry.kind} '{chosen}'")


class Checked:
    """Base of dataclasses that refuse wrong values when Python makes them, as `build` does for those of a YAML.

    A class that checks more of its own overrides `__post_init__` and calls this one first.
    """

    name: ClassVar[str]

    def __post_init__(self):
        hints = typing.get_type_hints(type(self))
        for field in dataclasses.fields(self):
            convert(getattr(self, field.name), hints[field.name], field.name, self.name, key_of(field))


def as_section(built: Any) -> dict[str, Any]:
    """The section, with every key, from which `build_named` would make the same object."""
    content = {field.name: getattr(built, field.name) for field in dataclasses.fields(built)}
    for field in dataclasses.fields(built):
        value = content[field.name]
        if key_of(field).registry is not None:
            content[field.name] = [*map(as_section, value)] if isinstance(value, list) else as_section(value)
    return {"name": built.name, **content}


def _parameters(section: Any) -> dict:
    return {key: value for key, value in section.items() if key != "name"} if isinstance(section, Mapping) else {}


def unknown_keys(content: Any, section: type, where: str) -> Iterator[str]:
    """A clause for each key of a section, and of the sections in it, that is not known, with the nearest one."""
    if not isinstance(content, Mapping):
        return
    hints = typing.get_type_hints(section)
    keys = {field.name: key_of(field) for field in dataclasses.fields(section)}
    for written, value in content.items():
        if written not in keys:
            near = nearest_word(str(written), keys)
            known = f"the keys here are {', '.join(keys)}" if keys else "there are none here"
            hint = f"did you mean {near}?" if near else known
            yield f"the key {_dotted(where, written)} is not known; {hint}"
        else:
            yield from _unknown_inside(value, hints[written], keys[written], _dotted(where, written))


def _unknown_inside(value: Any, annotation: Any, key: Key, where: str) -> Iterator[str]:
    if isinstance(value, list):
        for index, item in enumerate(value):
            inner = [argument for argument in _options(annotation) if _is_list(argument)]
            kind = typing.get_args(inner[0])[0] if inner else Any
            yield from _unknown_inside(item, kind, key, f"{where}.{index}")
        return
    if not isinstance(value, Mapping):
        return
    if key.registry in REGISTRIES and value.get("name") in REGISTRIES[key.registry].data:
        yield from unknown_keys(_parameters(value), REGISTRIES[key.registry][value["name"]], where)
    for option in _options(annotation):
        if dataclasses.is_dataclass(option):
            yield from unknown_keys(value, option, where)
        elif typing.get_origin(option) is dict and dataclasses.is_dataclass(typing.get_args(option)[1]):
            for inner, part in value.items():
                yield from unknown_keys(part, typing.get_args(option)[1], _dotted(where, inner))


def _build(content: Any, section: type, where: str, name: str) -> Any:
    if not isinstance(content, Mapping):
        raise UserError(f"{name}: {where or 'the file'} must be a section with keys, not {content!r}")
    hints = typing.get_type_hints(section)
    values = {}
    for field in dataclasses.fields(section):
        dotted = _dotted(where, field.name)
        if field.name in content:
            values[field.name] = convert(content[field.name], hints[field.name], dotted, name, key_of(field))
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise UserError(f"{name}: the key {dotted} is missing")
    try:
        return section(**values)
    except UserError as error:
        place = f"{name}: {where}: " if where else f"{name}: "
        raise error if str(error).startswith(name) else UserError(f"{place}{error}") from None


def _dotted(where: str, key: Any) -> str:
    return f"{where}.{key}" if where else str(key)


def convert(value: Any, annotation: Any, where: str, name: str, key: Key = ANY) -> Any:
    """A value of the type that an annotation asks for, within the key's bounds; `where` is its dotted key."""
    converted = _converted(value, annotation, where, name, key)
    check_value(converted, key, f"{name}: {where}")
    return converted


def _converted(value: Any, annotation: Any, where: str, name: str, key: Key) -> Any:
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if key.registry is not None and annotation is Any:
        is_built = dataclasses.is_dataclass(value)
        return value if is_built else build_named(value, REGISTRIES[key.registry], where, name)
    if dataclasses.is_dataclass(annotation):
        return value if isinstance(value, annotation) else _build(value, annotation, where, name)
    if origin in (typing.Union, types.UnionType):
        return _converted_union(value, arguments, where, name, key)
    if _is_list(annotation):
        if not isinstance(value, list | tuple):
            raise UserError(f"{name}: {where} must be a list, not {value!r}")
        return [_converted(item, arguments[0], f"{where}.{index}", name, key) for index, item in enumerate(value)]
    if origin is dict:
        if not isinstance(value, Mapping):
            raise UserError(f"{name}: {where} must be a section with keys, not {value!r}")
        return {
            inner: _converted(item, arguments[1], _dotted(where, inner), name, ANY) for inner, item in value.items()
        }
    if annotation is Path and isinstance(value, str | Path):
        return Path(value)
    return _converted_scalar(value, annotation, where, name) if annotation in (int, float, bool, str) else value


def _is_list(annotation: Any) -> bool:
    return typing.get_origin(annotation) in (list, Sequence)


def _options(annotation: Any) -> tuple:
    """The members of a union, or the annotation alone."""
    is_union = typing.get_origin(annotation) in (typing.Union, types.UnionType)
    return typing.get_args(annotation) if is_union else (annotation,)


def _converted_union(value: Any, options: tuple, where: str, name: str, key: Key) -> Any:
    """None, or the value by the first option that takes it; the error is of the option of its shape, list or not."""
    if value is None and type(None) in options:
        return None
    rest = [option for option in options if option is not type(None)]
    shaped = [option for option in rest if _is_list(option) == isinstance(value, list | tuple)] or rest
    errors = []
    for option in shaped:
        try:
            return _converted(value, option, where, name, key)
        except UserError as error:
            errors.append(error)
    raise errors[0]


def _converted_scalar(value: Any, wanted: type, where: str, name: str) -> Any:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if wanted is float and (is_number or isinstance(value, str)):
        try:
            return float(value)
        except (ValueError, OverflowError):
            pass
    elif (wanted is not int or is_number) and isinstance(value, wanted):
        return value
    raise UserError(f"{name}: {where} is {value!r}; it must be of type {wanted.__name__}")
