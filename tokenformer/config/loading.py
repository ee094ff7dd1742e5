"""From a YAML file and `--set` to a `RunConfig`, with errors that name the file, the key and the remedy."""

import dataclasses
import difflib
import typing
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import dacite
import yaml

from tokenformer.config.sections import RunConfig
from tokenformer.errors import UserError


class _Loader(yaml.SafeLoader):
    """Refuses a key that stands twice, which plain YAML lets the last one win."""

    def construct_mapping(self, node, deep=False):
        seen = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if key in seen:
                raise UserError(f"{node.start_mark.name}:{key_node.start_mark.line + 1}: the key {key!r} stands twice")
            seen.add(key)
        return super().construct_mapping(node, deep)


def _parse_yaml(text: Any, name: str) -> Any:
    try:
        return yaml.load(text, Loader=_Loader)
    except yaml.YAMLError as error:
        raise UserError(f"{name} is not valid YAML: {error}") from error


def read_yaml(path: Path) -> dict:
    """The mapping in a YAML file.

    Raises:
        UserError: no such file, no YAML, or no mapping.
    """
    try:
        with open(path, encoding="utf-8") as file:
            content = _parse_yaml(file, str(path))
    except OSError as error:
        raise UserError(f"the config {path} cannot be read: {error.strerror}") from error
    if not isinstance(content, dict):
        raise UserError(f"{path} holds no mapping of sections; see configs/ for examples")
    return content


def _descend(container: Any, key: str, assignment: str) -> Any:
    if isinstance(container, list):
        if not key.isdigit() or int(key) >= len(container):
            raise UserError(f"--set {assignment}: {key!r} is no index of a list of {len(container)}")
        return container[int(key)]
    if container.get(key) is None:
        container[key] = {}
    if not isinstance(container[key], dict | list):
        raise UserError(f"--set {assignment}: {key!r} holds the value {container[key]!r}, not a section")
    return container[key]


def apply_assignment(content: dict, assignment: str) -> None:
    """Sets one key in place, as in "optimizer.weight_decay=0.1"; the value is YAML, a list's index a number."""
    path, separator, value = assignment.partition("=")
    keys = path.split(".")
    if not separator or not all(keys):
        raise UserError(f"--set {assignment}: write it as section.key=value")
    container: Any = content
    for key in keys[:-1]:
        container = _descend(container, key, assignment)
    parsed = _parse_yaml(value, f"--set {path}")
    if isinstance(container, list):
        _descend(container, keys[-1], assignment)
        container[int(keys[-1])] = parsed
    else:
        container[keys[-1]] = parsed


def _section_types(annotation: Any) -> tuple[type | None, bool]:
    """The dataclass that an annotation stands for, if any, and whether it is a list of them."""
    arguments = [argument for argument in typing.get_args(annotation) if argument is not type(None)]
    if dataclasses.is_dataclass(annotation):
        return annotation, False
    if len(arguments) == 1:
        section, _ = _section_types(arguments[0])
        return section, typing.get_origin(annotation) is list
    return None, False


def check_keys(content: Any, section: type, where: str, name: str) -> None:
    """Raises a `UserError` at the first key that `section`, a dataclass, does not have, with the nearest one it has."""
    if not isinstance(content, dict):
        raise UserError(f"{name}: {where or 'the file'} must be a section with keys, not {content!r}")
    hints = typing.get_type_hints(section)
    for key, value in content.items():
        dotted = f"{where}.{key}" if where else str(key)
        if key not in hints:
            nearest = difflib.get_close_matches(str(key), hints, n=1, cutoff=0.0)
            raise UserError(f"{name}: the key {dotted} is not known; did you mean {nearest[0]}?")
        child, is_list = _section_types(hints[key])
        if child is None or value is None:
            continue
        if is_list and not isinstance(value, list):
            raise UserError(f"{name}: {dotted} must be a list")
        for index, item in enumerate(value if is_list else [value]):
            check_keys(item, child, f"{dotted}.{index}" if is_list else dotted, name)


def build(content: dict, section: type, where: str, name: str) -> Any:
    """A dataclass from a mapping whose keys have been checked; wrong types and missing keys are a `UserError`.

    An int is taken where a float is asked for; "1e-3", which YAML reads as text, is too.
    """
    check_keys(content, section, where, name)
    hooks = {float: lambda value: float(value) if isinstance(value, int | str) else value}
    try:
        return dacite.from_dict(section, content, dacite.Config(strict=True, type_hooks=hooks))
    except dacite.MissingValueError as error:
        dotted = f"{where}.{error.field_path}" if where else error.field_path
        raise UserError(f"{name}: the key {dotted} is missing") from error
    except dacite.WrongTypeError as error:
        dotted = f"{where}.{error.field_path}" if where else error.field_path
        wanted = getattr(error.field_type, "__name__", str(error.field_type).replace("typing.", ""))
        raise UserError(f"{name}: {dotted} is {error.value!r}; it must be of type {wanted}") from error
    except ValueError as error:
        raise UserError(f"{name}: a number was expected: {error}") from error
    except dacite.DaciteError as error:
        raise UserError(f"{name}: {error}") from error


def load_config(path: Path, assignments: Sequence[str] = ()) -> RunConfig:
    """Reads a run's YAML.

    Args:
        path: the file.
        assignments: "section.key=value" each, applied in order.

    Raises:
        UserError: whatever is wrong with the file or an assignment, but for what needs the corpus (see `checks`).
    """
    content = read_yaml(path)
    for assignment in assignments:
        apply_assignment(content, assignment)
    config = build(content, RunConfig, "", str(path))
    if len(config.data_stages) != 1:
        raise UserError(
            f"{path}: data_stages has {len(config.data_stages)} entries; give one, and order the data by `curriculum`"
        )
    return config


def as_yaml(config: RunConfig) -> str:
    """The resolved config, every key written out."""
    return yaml.safe_dump(dataclasses.asdict(config), sort_keys=False, allow_unicode=True)
