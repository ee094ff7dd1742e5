"""The shipped YAML files load, are documented key by key, and differ where they should alone."""

import dataclasses
import typing
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from scripts import configuration
from tests.support.places import REPOSITORY
from tokenformer.config.added_sections import Growth
from tokenformer.config.building import paths_of
from tokenformer.config.loading import load_config, read_extended
from tokenformer.config.sections import RunConfig
from tokenformer.growth.parameter_state import NEW_MOMENTS
from tokenformer.growth.policy import growth_policy
from tokenformer.kernels import BACKENDS
from tokenformer.kernels.reference import GELU_APPROXIMATIONS
from tokenformer.kernels.theta import VARIANTS
from tokenformer.model.config import MODEL_TYPES, LlamaKeys, TokenformerConfig
from tokenformer.run_config import load_run_config, starting_yaml
from tokenformer.trainer.bridge.bootstrap import bootstrap
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


def test_comments_and_tables_are_those_of_the_keys():
    """`python -m scripts.configuration` writes both files."""
    assert configuration.CONFIG.read_text(encoding="utf-8") == configuration.config()
    assert configuration.PAGE.read_text(encoding="utf-8") == configuration.page()


def test_every_key_has_a_sentence():
    kinds = [RunConfig, *(kind for registry in configuration.NAMED.values() for kind in registry.values())]
    assert [(kind, path) for kind in kinds for path, key in paths_of(kind) if not key.about] == []


def test_no_line_is_too_long(shipped):
    assert [line for line in shipped.splitlines() if len(line) > 120] == []


def test_llama_differs_in_its_model_config_alone(shipped):
    text = (CONFIGS / "llama.yaml").read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 16
    contents = [read_extended(CONFIGS / name) for name in ("llama.yaml", "tokenformer.yaml")]
    blocks = [content["model"].pop("model_config") for content in contents]
    assert contents[0] == contents[1]
    assert blocks[0]["is_llama_config"] is blocks[1]["is_tokenformer_config"] is True
    for key in blocks[0].keys() & blocks[1].keys():
        assert blocks[0][key] == blocks[1][key], key


@pytest.mark.parametrize("model_type", MODEL_TYPES)
@pytest.mark.parametrize("full", [False, True])
def test_a_yaml_to_start_from_is_a_run(tmp_path, model_type, full):
    path = tmp_path / "start.yaml"
    path.write_text(starting_yaml(model_type, full), encoding="utf-8")
    config = load_run_config(path)
    assert config.model_type == model_type
    assert len(yaml.safe_load(path.read_text())) == (len(dataclasses.fields(RunConfig)) if full else 3)


def test_a_full_yaml_changes_nothing(tmp_path):
    configs = []
    for full in (False, True):
        (tmp_path / "start.yaml").write_text(starting_yaml("tokenformer", full), encoding="utf-8")
        configs.append(load_run_config(tmp_path / "start.yaml"))
    blocks = [config.model.model_config for config in configs]
    assert dataclasses.replace(configs[0], model=configs[1].model) == configs[1]
    assert blocks[0].items() <= blocks[1].items()


def test_the_choices_of_a_model_are_what_the_kernels_have():
    keys = dict(paths_of(TokenformerConfig))
    assert keys["theta"].choices == tuple(VARIANTS)
    assert keys["gelu"].choices == tuple(GELU_APPROXIMATIONS)
    assert keys["kernel"].choices == ("auto", *BACKENDS)
    assert dict(paths_of(Growth))["new_moments"].choices == NEW_MOMENTS


def test_a_llama_has_the_keys_of_nanotron_and_its_defaults():
    bootstrap()
    from nanotron.config import LlamaConfig

    ours, theirs = dataclasses.asdict(LlamaKeys()), dataclasses.asdict(LlamaConfig())
    assert ours.keys() == theirs.keys()
    assert {key for key in ours if ours[key] != theirs[key]} == {"vocab_size"}


def test_growth_falls_between_warm_up_and_decay(shipped):
    """What a schedule for growth looks like: warm-up, constant, short decay."""
    content = yaml.safe_load(shipped)
    schedule, steps = content["optimizer"]["learning_rate_scheduler"], content["tokens"]["train_steps"]
    assert content["growth"]["earliest_step"] >= schedule["lr_warmup_steps"]
    assert schedule["lr_decay_starting_step"] + schedule["lr_decay_steps"] == steps
    assert schedule["lr_decay_steps"] < 0.25 * steps
