"""Checked dataclasses from parsed YAML, with errors that name the file, the dotted key and the remedy."""

import dataclasses
import os.path
import types
import typing
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, TypeGuard

from tokenformer.config.keys import ANY, Key, check_value, key_of
from tokenformer.config.nearest import nearest_word
from tokenformer.config.registry import REGISTRIES, Registry
from tokenformer.errors import UserError

NO_REGISTRIES: Mapping[str, Registry] = {}


def build(
    content: Any, section: type, where: str, name: str, registries: Mapping[str, Registry] = NO_REGISTRIES
) -> Any:
    """An instance of the dataclass `section` from a mapping.

    An int is taken where a float is asked for; text such as "1e-3", which YAML does not read as a number, is too.

    Args:
        where: dotted path of the section, "" for the file itself.
        name: the file, or what else errors begin with.
        registries: kind -> registry in which sections that stay mappings are looked up, and so checked too.

    Raises:
        UserError: no mapping, unknown keys (all of them, each with the key that was probably meant), a missing key, a
            wrong type, a value beyond its bounds or choices, or what the dataclass itself refuses.
    """
    unknown = list(unknown_keys(content, section, where))
    for inner, kind, place in named_sections(content, section, where):
        chosen = _class_of(inner, registries[kind]) if kind in registries else None
        if chosen is not None:
            unknown += unknown_keys(_parameters(inner), chosen, place)
    if unknown:
        raise UserError(f"{name}: {'; '.join(unknown)}")
    built = _build(content, section, where, name)
    for inner, kind, place in named_sections(content, section, where):
        if kind in registries:
            build_named(inner, registries[kind], place, name)
    return built


def build_named(section: Any, registry: Registry, where: str = "", name: str = "") -> Any:
    """Makes the registry's dataclass that a section names, of the section's other keys.

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
    try:
        chosen = section.get("name") if registry.name_in is None else registry.name_in(section)
    except UserError as error:
        raise UserError(f"{begin}{error}") from None
    kind = registry.find(chosen, f"{begin}{where}.name is {chosen!r}" if where else "")
    return build(_parameters(section), kind, where, name or f"{registry.kind} '{chosen}'")


@dataclass(frozen=True)
class Checked:
    """Base of frozen dataclasses that refuse wrong values when Python makes them, as `build` does for those of a YAML.

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


def _class_of(section: Any, registry: Registry) -> type | None:
    """The class that a section names; None where it names none, which `build_named` then refuses."""
    if not isinstance(section, Mapping):
        return None
    try:
        return registry[section["name"] if registry.name_in is None else registry.name_in(section)]
    except (KeyError, TypeError, UserError):
        return None


def named_sections(content: Any, section: type, where: str) -> Iterator[tuple[Any, str, str]]:
    """Every section that stays a mapping and names what it is: itself, the kind of its registry, and its dotted key."""
    if not isinstance(content, Mapping):
        return
    hints = typing.get_type_hints(section)
    for field in dataclasses.fields(section):
        value, place, kind = content.get(field.name), _dotted(where, field.name), key_of(field).registry
        if kind is not None and hints[field.name] is not Any:
            yield from _named_in(value, kind, place, hints[field.name])
            continue
        for option in options_of(hints[field.name]):
            if is_section(option):
                yield from named_sections(value, option, place)
            elif is_list(option) and isinstance(value, list) and dataclasses.is_dataclass(typing.get_args(option)[0]):
                for index, item in enumerate(value):
                    yield from named_sections(item, typing.get_args(option)[0], f"{place}.{index}")


def _named_in(value: Any, kind: str, place: str, annotation: Any) -> Iterator[tuple[Any, str, str]]:
    inner = typing.get_args(annotation)
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield from _named_in(item, kind, f"{place}.{index}", Any)
    elif isinstance(value, Mapping) and len(inner) == 2 and inner[1] is not Any:  # a mapping of sections
        for name, item in value.items():
            yield from _named_in(item, kind, _dotted(place, name), Any)
    elif value is not None:
        yield value, kind, place


def _parameters(section: Any) -> dict:
    return {key: value for key, value in section.items() if key != "name"} if isinstance(section, Mapping) else {}


def unknown_keys(content: Any, section: type, where: str, root: type | None = None) -> Iterator[str]:
    """A clause for each key of a section, and of the sections in it, that is not known, with what was meant."""
    if not isinstance(content, Mapping):
        return
    root = root or section
    hints = typing.get_type_hints(section)
    keys = {field.name: key_of(field) for field in dataclasses.fields(section)}
    for written, value in content.items():
        if written not in keys:
            meant = _meant(str(written), where, keys, root)
            known = f"the keys here are {', '.join(keys)}" if keys else "there are none here"
            hint = f"did you mean {meant}?" if meant else known
            yield f"the key {_dotted(where, written)} is not known; {hint}"
        else:
            yield from _unknown_inside(value, hints[written], keys[written], _dotted(where, written), root)


def _meant(word: str, where: str, keys: Mapping[str, Key], root: type) -> str | None:
    """The key that was probably meant: one of this section by its name or by meaning, or one elsewhere by its path."""
    by_meaning = [name for name, key in keys.items() if word in key.also]
    elsewhere = [path for path, key in paths_of(root) if word == path.rpartition(".")[2] or word in key.also]
    below = [path for path in elsewhere if where and path.startswith(f"{where}.")]
    meant = [*by_meaning, *below, nearest_word(word, keys)]
    if any(meant) or not elsewhere:
        return next(filter(None, meant), None)
    return max(elsewhere, key=lambda path: len(os.path.commonprefix([path, where])))


def paths_of(section: type, above: str = "") -> Iterator[tuple[str, Key]]:
    """Dotted path and `Key` of every key of a section and of the sections in it; an item of a list has the index 0."""
    hints = typing.get_type_hints(section)
    for field in dataclasses.fields(section):
        path, key = _dotted(above, field.name), key_of(field)
        yield path, key
        for option in options_of(hints[field.name]):
            item = typing.get_args(option)[0] if is_list(option) else option
            if is_section(item):
                yield from paths_of(item, f"{path}.0" if is_list(option) else path)
        if key.registry == "model type":
            for kind in REGISTRIES.get(key.registry, {}).values():
                yield from paths_of(kind, path)


def _unknown_inside(value: Any, annotation: Any, key: Key, where: str, root: type) -> Iterator[str]:
    if isinstance(value, list):
        for index, item in enumerate(value):
            inner = [argument for argument in options_of(annotation) if is_list(argument)]
            kind = typing.get_args(inner[0])[0] if inner else Any
            yield from _unknown_inside(item, kind, key, f"{where}.{index}", root)
        return
    if not isinstance(value, Mapping):
        return
    chosen = _class_of(value, REGISTRIES[key.registry]) if annotation is Any and key.registry else None
    if chosen is not None:
        yield from unknown_keys(_parameters(value), chosen, where)
    for option in options_of(annotation):
        if is_section(option):
            yield from unknown_keys(value, option, where, root)
        elif typing.get_origin(option) is dict and dataclasses.is_dataclass(typing.get_args(option)[1]):
            for inner, part in value.items():
                yield from unknown_keys(part, typing.get_args(option)[1], _dotted(where, inner), root)


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
        raise error if str(error).startswith(name) else UserError(f"{name}: {_placed(str(error), where)}") from None


def _placed(message: str, where: str) -> str:
    """A message of a section's own check, behind its dotted path; one that begins with the path's end continues it."""
    if not where:
        return message
    last = where.rpartition(".")[2]
    return f"{where}{message[len(last) :]}" if message.startswith(f"{last}.") else f"{where}: {message}"


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
    if is_section(annotation):
        return value if isinstance(value, annotation) else _build(value, annotation, where, name)
    if origin in (typing.Union, types.UnionType):
        return _converted_union(value, arguments, where, name, key)
    if is_list(annotation):
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


def is_section(annotation: Any) -> TypeGuard[type]:
    """Tells whether an annotation is a dataclass."""
    return dataclasses.is_dataclass(annotation)


def is_list(annotation: Any) -> bool:
    return typing.get_origin(annotation) in (list, Sequence)


def options_of(annotation: Any) -> tuple:
    """The members of a union, or the annotation alone."""
    is_union = typing.get_origin(annotation) in (typing.Union, types.UnionType)
    return typing.get_args(annotation) if is_union else (annotation,)


def _converted_union(value: Any, options: tuple, where: str, name: str, key: Key) -> Any:
    """None, or the value by the first option that takes it; the error is of the option of its shape, list or not."""
    if value is None and type(None) in options:
        return None
    if type(value) in options:
        return value
    rest = [option for option in options if option is not type(None)]
    shaped = [option for option in rest if is_list(option) == isinstance(value, list | tuple)] or rest
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
