"""A YAML in which every key is explained where it stands, and tables of all keys, written from the keys themselves."""

import dataclasses
import typing
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import yaml

from tokenformer.config.building import as_section, is_list, is_section, options_of
from tokenformer.config.keys import REQUIRED, Key, key_of
from tokenformer.config.registry import Registry

WIDTH = 120
COMMENT_COLUMN = 32


def explained_yaml(content: Mapping, section: type, registries: Mapping[str, Registry], head: str = "") -> str:
    """The YAML of a config, with a comment on every line that has a key.

    Args:
        content: the config; its keys are written in the order of the dataclass, and those that it lacks are not.
        section: the dataclass of the whole file.
        registries: kind -> registry, of the sections that name what they are.
        head: comment lines at the top.
    """
    writer = _Writer(registries)
    parts = ["\n".join(f"# {line}" for line in head.splitlines())] if head else []
    for name, lines in writer.entries(content, section, 0):
        if name in content and not isinstance(content[name], list | dict) and parts and not parts[-1].startswith("#"):
            parts[-1] += "\n" + "\n".join(lines)
        else:
            parts.append("\n".join(lines))
    return "\n\n".join(parts) + "\n"


class _Writer:
    def __init__(self, registries: Mapping[str, Registry]):
        self.registries = registries

    def entries(self, content: Mapping, section: type, indent: int) -> Iterator[tuple[str, list[str]]]:
        """Name and lines of every key of a section."""
        hints = typing.get_type_hints(section)
        fields = {field.name: field for field in dataclasses.fields(section)}
        marks = [name for name in content if name.startswith("is_")]
        for name in dict.fromkeys([*marks, *fields]):
            if name in content:
                yield name, list(self.lines(name, content[name], hints[name], key_of(fields[name]), indent))

    def lines(self, name: str, value: Any, annotation: Any, key: Key, indent: int) -> Iterator[str]:
        margin, inner, registry = " " * indent, _dataclass_in(annotation), self.registries.get(key.registry or "")
        if registry is not None and registry.name_in is None:
            yield from _choices(registry, indent)
        if isinstance(value, Mapping) and value and inner is not None:
            yield _commented(f"{margin}{name}:", key)
            for _, lines in self.entries(value, inner, indent + 2):
                yield from lines
        elif isinstance(value, list) and value and inner is not None:
            yield _commented(f"{margin}{name}:", key)
            for item in value:
                lines = [line for _, part in self.entries(item, inner, indent + 2) for line in part]
                yield from [f"{margin}- {lines[0].lstrip()}", *lines[1:]]
        elif isinstance(value, Mapping) and value and registry is not None:
            yield _commented(f"{margin}{name}:", key)
            yield from self._named(value, registry, indent + 2)
        else:
            yield _commented(f"{margin}{name}: {_flow(value)}", key)

    def _named(self, section: Mapping, registry: Registry, indent: int) -> Iterator[str]:
        """The keys of a section that names what it is, or of a mapping of such sections."""
        margin = " " * indent
        if registry.name_in is None and "name" not in section:
            for name, part in section.items():
                yield f"{margin}{name}:"
                yield from self._named(part, registry, indent + 2)
            return
        chosen = registry[section["name"] if registry.name_in is None else registry.name_in(section)]
        if "name" in section:
            about = f"which {registry.kind}; the other keys are its own"
            yield _commented(f"{margin}name: {section['name']}", Key(about))
        for _, lines in self.entries(section, chosen, indent):
            yield from lines


def _choices(registry: Registry, indent: int) -> Iterator[str]:
    """Comment lines with everything that a registry has: how it is written, and what it is."""
    margin = " " * indent
    yield f"{margin}# Every {registry.kind}, with its keys and their defaults:"
    for name, entry in registry.items():
        keys = "".join(f", {field.name}: {_flow(_default(field))}" for field in dataclasses.fields(entry))
        yield from _folded(f"{{name: {name}{keys}}}", f"{margin}#   ", f"{margin}#     ")
        yield from _folded(first_sentence(entry), f"{margin}#     ", f"{margin}#     ")


def _folded(text: str, first: str, later: str) -> Iterator[str]:
    """Lines of at most WIDTH characters, cut at spaces."""
    line = first
    for word in text.split():
        if len(line) + len(word) > WIDTH and line.strip("# "):
            yield line.rstrip()
            line = later
        line += f"{word} "
    yield line.rstrip()


def _commented(text: str, key: Key) -> str:
    about = key.about
    listed = [str(choice) for choice in key.choices or ()]
    if len(listed) > 1 and not key.remedy:
        about += f" ({', '.join(listed[:-1])} or {listed[-1]})"
    return f"{text.ljust(COMMENT_COLUMN - 2)}  # {about}" if about else text


def _flow(value: Any) -> str:
    """A value as YAML on one line."""
    if value is REQUIRED:
        return "..."
    if dataclasses.is_dataclass(value):
        value = as_section(value)
    text = yaml.safe_dump(value, default_flow_style=True, sort_keys=False, allow_unicode=True, width=10**9)
    return text.removesuffix("\n").removesuffix("\n...")


def _default(field: dataclasses.Field) -> Any:
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return field.default


def _dataclass_in(annotation: Any) -> type | None:
    """The dataclass that an annotation holds, in a list or not; None where it holds a plain value too."""
    found = [typing.get_args(option)[0] if is_list(option) else option for option in options_of(annotation)]
    found = [option for option in found if option is not type(None)]
    return found[0] if len(found) == 1 and is_section(found[0]) else None


def first_sentence(documented: type) -> str:
    """The first line of a docstring, which is a sentence."""
    return (documented.__doc__ or "").strip().split("\n\n")[0].replace("\n", " ")


def key_table(section: type, above: str = "") -> Iterator[str]:
    """Lines of a Markdown table of all keys of a section, and of the sections in it."""
    yield "| key | type | default | values | meaning |"
    yield "|---|---|---|---|---|"
    yield from _rows(section, above)


def _rows(section: type, above: str) -> Iterator[str]:
    hints = typing.get_type_hints(section)
    for field in dataclasses.fields(section):
        path, key, inner = f"{above}{field.name}", key_of(field), _dataclass_in(hints[field.name])
        if inner is not None and not key.registry:
            yield from _rows(inner, f"{path}.{'0.' if any(map(is_list, options_of(hints[field.name]))) else ''}")
            continue
        default = "required" if _default(field) is REQUIRED else f"`{_flow(_default(field))}`"
        values = ", ".join(f"`{choice}`" for choice in key.choices or ())
        values = "; ".join(part for part in (values, key.bounds) if part)
        cells = (f"`{path}`", _type(hints[field.name]), default, values, key.about)
        yield f"| {' | '.join(cell.replace('|', '&#124;') for cell in cells)} |"


def _type(annotation: Any) -> str:
    names = {int: "whole number", float: "number", str: "text", bool: "true or false", type(None): "null"}
    found: list[str] = []
    for option in options_of(annotation):
        arguments = typing.get_args(option)
        if is_list(option):
            found.append(f"list of {_type(arguments[0])}")
        elif typing.get_origin(option) is dict:
            found.append("section")
        else:
            found.append(names.get(option, "section" if dataclasses.is_dataclass(option) else "any"))
    return " or ".join(dict.fromkeys(found))


def entry_tables(registry: Registry) -> Iterator[str]:
    """Markdown for everything that a registry has: a heading, what it is, and the table of its keys."""
    for name, entry in registry.items():
        yield from ("", f"### `{name}`", "", first_sentence(entry))
        if dataclasses.fields(entry):
            yield from ("", *key_table(entry))


def joined(lines: Iterable[str]) -> str:
    """Lines as a text that ends with a line end."""
    return "\n".join(lines) + "\n"
