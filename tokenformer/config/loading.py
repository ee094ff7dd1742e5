"""From a YAML file and `--set` to a `RunConfig`, with errors that name the file, the key and the remedy."""

import dataclasses
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from tokenformer.config.building import NO_REGISTRIES, build
from tokenformer.config.plugins import load_plugins
from tokenformer.config.registry import Registry
from tokenformer.config.sections import RunConfig
from tokenformer.errors import UserError

_MERGE = "tag:yaml.org,2002:merge"


class _Loader(yaml.SafeLoader):
    """Refuses a key that stands twice, of which plain YAML lets the last one win."""

    def construct_mapping(self, node, deep=False):
        seen = set()
        for key_node, _ in node.value:
            if key_node.tag == _MERGE or not isinstance(key_node, yaml.ScalarNode):
                continue
            if key_node.value in seen:
                line = key_node.start_mark.line + 1
                raise UserError(f"{self.name}:{line}: the key {key_node.value!r} stands twice")
            seen.add(key_node.value)
        return super().construct_mapping(node, deep)


# YAML 1.1, which PyYAML reads, takes 1e-3 for text; everyone who writes it means a number, as YAML 1.2 does.
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?[0-9]+(\.[0-9]*)?[eE][-+]?[0-9]+$"), list("-+0123456789")
)


def parse_yaml(text: str, name: str) -> Any:
    """The content of a YAML text; `name` is what errors call it."""
    try:
        loader = _Loader(text)
    except yaml.YAMLError as error:  # a control character
        raise UserError(f"{name} is not valid YAML: {' '.join(str(error).split())}") from error
    loader.name = name
    try:
        return loader.get_single_data()
    except yaml.MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise UserError(f"{name}{line} is not valid YAML: {error.problem}") from error
    except RecursionError as error:
        raise UserError(f"{name} is nested too deeply") from error
    except (yaml.YAMLError, TypeError, ValueError) as error:
        raise UserError(f"{name} is not valid YAML: {' '.join(str(error).split())}") from error
    finally:
        loader.dispose()


def read_yaml(path: Path) -> dict:
    """The mapping in a YAML file.

    Raises:
        UserError: no such file, no UTF-8, no YAML, or no mapping.
    """
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except OSError as error:
        raise UserError(f"the config {path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UserError(f"the config {path} is no UTF-8 text: {error}; save it as UTF-8") from error
    content = parse_yaml(text, str(path))
    if not isinstance(content, dict):
        raise UserError(f"{path} holds no mapping of sections; see configs/ for examples")
    return content


def _descend(container: Any, key: str, assignment: str) -> Any:
    if isinstance(container, list):
        if not (key.isascii() and key.isdigit()) or int(key) >= len(container):
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
    parsed = parse_yaml(value, f"--set {path}")
    if isinstance(container, list):
        _descend(container, keys[-1], assignment)
        container[int(keys[-1])] = parsed
    else:
        container[keys[-1]] = parsed


def read_extended(path: Path, chain: Sequence[Path] = ()) -> dict:
    """The mapping in a YAML file, laid over that of the file that its key `extends` names, relative to it.

    Args:
        chain: the files that extend this one, the first read first.

    Raises:
        UserError: as `read_yaml`, and for files that extend each other in a circle.
    """
    content = read_yaml(path)
    base = content.pop("extends", None)
    if base is None:
        return content
    if not isinstance(base, str):
        raise UserError(f"{path}: extends is {base!r}; it must be the path of one YAML file, relative to this one")
    place, chain = Path(path).parent / base, (*chain, Path(path))
    if place.resolve() in [file.resolve() for file in chain]:
        raise UserError(f"{path}: extends goes in a circle: {' -> '.join(map(str, (*chain, place)))}; take one out")
    return laid_over(read_extended(place, chain), content)


def laid_over(base: dict, changes: dict) -> dict:
    """A config with another laid over it.

    Sections are merged key by key. Three kinds of values are replaced whole: single values, lists, and sections in
    which the changes say what the section is, by `name` or by a mark such as `is_llama_config`.
    """
    merged = dict(base)
    for key, value in changes.items():
        below = base.get(key)
        merged[key] = laid_over(below, value) if isinstance(below, dict) and _merges(value) else value
    return merged


def _merges(value: Any) -> bool:
    return isinstance(value, dict) and not any(
        key == "name" or re.fullmatch(r"is_\w+_config", str(key)) for key in value
    )


def load_config(
    path: Path, assignments: Sequence[str] = (), registries: Mapping[str, Registry] = NO_REGISTRIES
) -> RunConfig:
    """Reads a run's YAML.

    Args:
        path: the file.
        assignments: "section.key=value" each, applied in order.
        registries: see `build`; `run_config` has those of all rooms.

    Raises:
        UserError: whatever is wrong with the file or an assignment, but for what needs the corpus (see `checks`).
    """
    content = read_extended(path)
    for assignment in assignments:
        apply_assignment(content, assignment)
    if registries and isinstance(content.get("plugins"), list):
        load_plugins(map(str, content["plugins"]), str(path))
    config = build(content, RunConfig, "", str(path), registries)
    if len(config.data_stages) != 1:
        raise UserError(
            f"{path}: data_stages has {len(config.data_stages)} entries; give one, and order the data by `curriculum`"
        )
    return config


def as_yaml(config: RunConfig) -> str:
    """The resolved config, every key written out."""
    return yaml.safe_dump(dataclasses.asdict(config), sort_keys=False, allow_unicode=True)
