"""A config survives the way to YAML and back, and `--set` changes one key of it."""

import dataclasses
import typing
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.cases import cases
from tokenformer.config.building import build
from tokenformer.config.keys import ANY, LARGEST, Key, key_of
from tokenformer.config.loading import apply_assignment, as_yaml, load_config, read_yaml
from tokenformer.config.nanotron_sections import DataStage
from tokenformer.config.sections import RunConfig
from tokenformer.errors import UserError

TEXT = st.text(st.characters(exclude_categories=["C", "Zl", "Zp"]), max_size=8)
SCALARS = st.none() | st.booleans() | st.integers(-99, LARGEST) | st.floats(-99, LARGEST) | TEXT
FREE_VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3), max_leaves=5
)
REGULAR_EXPRESSIONS = st.from_regex(r"[a-z.|]{0,8}", fullmatch=True)
RUNS = st.from_regex(r"\w{1,8}", fullmatch=True)  # a folder inside of another


def numbers_of(kind: type, key: Key) -> st.SearchStrategy:
    """Every number of a type that a key may hold."""
    low = -LARGEST if key.least is None and key.above is None else max(key.least or 0, key.above or 0)
    high = LARGEST if key.most is None and key.below is None else min(key.most or LARGEST, key.below or LARGEST)
    if key.least is not None and key.least < 0:
        low = key.least
    numbers = st.integers(low, int(high)) if kind is int else st.floats(low, high)
    return numbers.filter(key.holds)


def values_of(annotation: Any, key: Key = ANY, name: str = "") -> st.SearchStrategy:
    """Everything that a field of this annotation and key may hold."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Union:
        return st.one_of(*(values_of(argument, key, name) for argument in arguments))
    if annotation in (Any, bool, type(None)):
        return {Any: FREE_VALUES, bool: st.booleans(), type(None): st.none()}[annotation]
    if dataclasses.is_dataclass(annotation):
        hints = typing.get_type_hints(annotation)
        fields = {
            field.name: values_of(hints[field.name], key_of(field), field.name)
            for field in dataclasses.fields(annotation)
        }
        return st.builds(annotation, **fields)
    if origin is dict:
        return st.dictionaries(values_of(arguments[0]), values_of(arguments[1]), max_size=3)
    if origin is list:
        return st.lists(values_of(arguments[0], key, name), min_size=1, max_size=1)
    choices = [choice for choice in key.choices or () if isinstance(choice, annotation)]
    if key.choices is not None and (annotation is str or not key.bounds):
        return st.sampled_from(choices) if choices else st.nothing()
    if annotation is str:
        return {"parameters": REGULAR_EXPRESSIONS, "run": RUNS}.get(name, TEXT)
    return numbers_of(annotation, key)


@pytest.fixture
def shipped(repository):
    return repository / "configs" / "tokenformer.yaml"


@settings(max_examples=40)
@given(config=values_of(RunConfig))
def test_any_config_survives_the_way_to_yaml_and_back(config):
    assert build(yaml.safe_load(as_yaml(config)), RunConfig, "", "run.yaml") == config


def test_the_resolved_yaml_holds_every_key_and_loads_as_the_same_config(shipped, tmp_path):
    config = load_config(shipped, ["general.seed=7"])
    resolved = tmp_path / "config.yaml"
    resolved.write_text(as_yaml(config), encoding="utf-8")
    assert load_config(resolved) == config
    content = read_yaml(resolved)
    assert content.keys() == {field.name for field in dataclasses.fields(RunConfig)}
    assert content["data_stages"][0].keys() == {field.name for field in dataclasses.fields(DataStage)}


def changed_keys(before: Any, after: Any, path: str = "") -> dict[str, Any]:
    """Dotted path and new value of every leaf that differs."""
    if isinstance(before, dict) and isinstance(after, dict):
        pairs = [(key, before.get(key), after.get(key)) for key in before.keys() | after.keys()]
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        pairs = [(index, *values) for index, values in enumerate(zip(before, after, strict=True))]
    else:
        return {} if before == after and type(before) is type(after) else {path: after}
    changes = {}
    for key, old, new in pairs:
        changes |= changed_keys(old, new, f"{path}.{key}" if path else str(key))
    return changes


@cases(
    ("general.run=other", "other"),
    ("general.run='5'", "5"),
    ("general.run=a=b", "a=b"),
    ("general.ignore_sanity_checks=no", False),
    ("tokens.train_steps=7", 7),
    ("optimizer.weight_decay=0", 0.0),
    ("optimizer.weight_decay=1e-3", 1e-3),
    ("optimizer.clip_grad=5e-1", 0.5),
    ("optimizer.clip_grad=null", None),
    ("optimizer.optimizer_factory.adam_eps=1e-6", 1e-6),
    ("optimizer.learning_rate_scheduler.lr_decay_steps=", None),
    ("data_stages.0.data.dataset.dataset_folder=elsewhere", "elsewhere"),
    ("growth.trigger.percentiles.1=70", 70),
    ("growth.operators.tokenformer.feed_forward=4", 4),
    ("curriculum.ordering.end=0.5", 0.5),
    ("model.model_config.qkv_tokens=96", 96),
    ("validation.levels=3", 3),
)
def test_set_changes_exactly_one_key(shipped, assignment, expected):
    before, after = (dataclasses.asdict(load_config(shipped, changes)) for changes in ([], [assignment]))
    assert changed_keys(before, after) == {assignment.partition("=")[0]: expected}


def test_set_takes_whole_sections_and_lists(shipped):
    assert load_config(shipped, ["growth=null"]).growth is None
    config = load_config(shipped, ["growth.trigger={name: schedule, steps: [1, 2]}"])
    assert config.growth.trigger == {"name": "schedule", "steps": [1, 2]}


def test_later_assignments_win_and_see_earlier_ones(shipped):
    config = load_config(
        shipped, ["growth=null", "growth.trigger.name=schedule", "growth.operators={}", "general.seed=1"]
    )
    assert config.growth.trigger == {"name": "schedule"}
    assert load_config(shipped, ["general.seed=1", "general.seed=2"]).general.seed == 2


def test_set_makes_a_section_that_the_file_leaves_out():
    content = {"general": {"run": "r"}, "optimizer": None}
    apply_assignment(content, "optimizer.learning_rate_scheduler.learning_rate=1.0")
    apply_assignment(content, "logging.log_level=info")
    assert content == {
        "general": {"run": "r"},
        "optimizer": {"learning_rate_scheduler": {"learning_rate": 1.0}},
        "logging": {"log_level": "info"},
    }


@cases(
    ("general.seed", "section.key=value"),
    ("=3", "section.key=value"),
    ("general.=3", "section.key=value"),
    (".seed=3", "section.key=value"),
    ("data_stages.1.name=x", "'1' is no index of a list of 1"),
    ("data_stages.-1.name=x", "'-1' is no index"),
    ("data_stages.first.name=x", "'first' is no index"),
    ("data_stages.².name=x", "'²' is no index"),
    ("growth.trigger.percentiles.2=90", "'2' is no index of a list of 2"),
    ("general.seed.x=1", "'seed' holds the value 42, not a section"),
    ("growth={a: 1, a: 2}", "'a' stands twice"),
    ("growth={[1]: 2}", "not valid YAML"),
    ("general.run=[1", "not valid YAML"),
)
def test_a_wrong_assignment_is_named(shipped, assignment, named):
    with pytest.raises(UserError) as caught:
        load_config(shipped, [assignment])
    assert f"--set {assignment.partition('=')[0]}" in str(caught.value)
    assert named in str(caught.value)
