"""The shipped YAML files load, are documented key by key, and differ where they should alone."""

import copy
import dataclasses
import re
import typing
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from tests.support.places import REPOSITORY
from tokenformer.config.loading import load_config
from tokenformer.config.sections import RunConfig
from tokenformer.curriculum import ORDERINGS, SELECTIONS
from tokenformer.growth.policy import growth_policy
from tokenformer.model.config import TokenformerConfig
from tokenformer.trainer.bridge.model_config import model_config_from

CONFIGS = REPOSITORY / "configs"
SPECIAL_TOKENS = {"bos_token_id", "eos_token_id", "pad_token_id"}


@pytest.fixture(scope="module")
def shipped() -> str:
    return (CONFIGS / "tokenformer.yaml").read_text(encoding="utf-8")


@pytest.mark.parametrize("path", sorted(CONFIGS.rglob("*.yaml")), ids=lambda path: path.stem)
def test_it_loads(path):
    config = load_config(path)
    model_config_from(config.model.model_config | {"vocab_size": 300}, config.model_type, str(path))
    growth_policy(config.growth, config.model_type, str(path))


def test_there_is_one_for_each_model_type():
    types = {load_config(path).model_type for path in CONFIGS.rglob("*.yaml")}
    assert types == {"tokenformer", "llama"}


def section_paths(section: type, above: tuple = ()) -> Iterator[tuple]:
    """Path of every key that a dataclass and those inside it have."""
    for key, hint in typing.get_type_hints(section).items():
        yield (*above, key)
        inner, in_list = dataclass_in(hint)
        if inner is not None:
            yield from section_paths(inner, (*above, key, 0) if in_list else (*above, key))


def dataclass_in(hint: Any) -> tuple[type | None, bool]:
    if dataclasses.is_dataclass(hint):
        return hint, False
    for argument in typing.get_args(hint):
        if dataclasses.is_dataclass(argument):
            return argument, typing.get_origin(hint) is list
    return None, False


def holds(content: Any, path: tuple) -> bool:
    for key in path:
        try:
            content = content[key]
        except (KeyError, IndexError, TypeError):
            return False
    return True


def test_every_key_stands_in_the_shipped_config(shipped):
    content = yaml.safe_load(shipped)
    of_model = {("model", "model_config", field.name) for field in dataclasses.fields(TokenformerConfig)}
    of_model -= {path for path in of_model if path[-1] in SPECIAL_TOKENS}
    missing = [path for path in {*section_paths(RunConfig), *of_model} if not holds(content, path)]
    assert missing == []


def lines_of_keys(node: yaml.Node) -> Iterator[tuple[int, str]]:
    """Line and key of every key that holds a value and no section."""
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if isinstance(value, yaml.MappingNode) or (
                isinstance(value, yaml.SequenceNode) and any(isinstance(i, yaml.MappingNode) for i in value.value)
            ):
                yield from lines_of_keys(value)
            else:
                yield key.start_mark.line, key.value
    elif isinstance(node, yaml.SequenceNode):
        for item in node.value:
            yield from lines_of_keys(item)


@pytest.mark.parametrize("name", ["tokenformer.yaml", "llama.yaml"])
def test_every_key_is_documented_on_its_line(name):
    text = (CONFIGS / name).read_text(encoding="utf-8")
    lines = text.splitlines()
    keys = list(lines_of_keys(yaml.compose(text)))
    assert len(keys) > 60
    undocumented = [key for line, key in keys if not re.search(r"\s# \w.*\w", lines[line])]
    assert undocumented == []


@pytest.mark.parametrize(("registry", "key"), [(ORDERINGS, "ordering"), (SELECTIONS, "selections")])
def test_every_ordering_and_selection_is_documented_with_its_parameters(shipped, registry, key):
    section = shipped[shipped.index("\ncurriculum:") : shipped.index("\ngrowth:")]
    assert f"  {key}:" in section
    for name, entry in registry.items():
        line = next((line for line in section.splitlines() if f"name: {name}" in line), "")
        edges = {"thresholds", "percentiles"}  # explained once, above
        missing = [field.name for field in dataclasses.fields(entry) if field.name not in line]
        if key == "ordering":
            missing = [parameter for parameter in missing if parameter not in edges]
        assert line and set(missing) <= (edges if name != "prune" else set()), (name, missing)


def without_model_config(text: str) -> list[str]:
    """The lines of a YAML but those of its `model_config` block."""
    kept, inside = [], False
    for line in text.splitlines():
        indent = len(line) - len(line.lstrip())
        if inside and line.strip() and indent <= 2:
            inside = False
        if not inside:
            kept.append(line)
        if line == "  model_config:":
            inside = True
    return kept


def test_llama_and_tokenformer_differ_in_their_model_config_alone(shipped):
    llama = (CONFIGS / "llama.yaml").read_text(encoding="utf-8")
    assert without_model_config(llama) == without_model_config(shipped)
    contents = [copy.deepcopy(yaml.safe_load(text)) for text in (llama, shipped)]
    blocks = [content["model"].pop("model_config") for content in contents]
    assert contents[0] == contents[1]
    assert blocks[0] != blocks[1]
    for key in blocks[0].keys() & blocks[1].keys():
        assert blocks[0][key] == blocks[1][key], key


def test_growth_falls_between_warm_up_and_decay(shipped):
    """What a schedule for growth looks like: warm-up, constant, short decay."""
    content = yaml.safe_load(shipped)
    schedule, steps = content["optimizer"]["learning_rate_scheduler"], content["tokens"]["train_steps"]
    assert content["growth"]["earliest_step"] >= schedule["lr_warmup_steps"]
    assert schedule["lr_decay_starting_step"] + schedule["lr_decay_steps"] == steps
    assert schedule["lr_decay_steps"] < 0.25 * steps
