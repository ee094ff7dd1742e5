"""A misspelled key is refused wherever it stands, and the message names the key that was meant."""

import copy
import dataclasses
import string
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tests.support.cases import cases
from tokenformer.config.building import build, build_named
from tokenformer.config.loading import load_config
from tokenformer.config.sections import RunConfig
from tokenformer.curriculum.orderings import ORDERINGS
from tokenformer.errors import UserError
from tokenformer.growth import OPERATORS, TRIGGERS
from tokenformer.growth.policy import growth_policy
from tokenformer.model.config import TokenformerConfig
from tokenformer.trainer.bridge.model_config import model_config_from

NAME = "run.yaml"
LETTERS = string.ascii_lowercase + string.digits + "_-"
# Their misspelling makes another mistake: no model type, no choice, or another model type.
CHOICES = ("is_tokenformer_config", "name", "tokenformer")
Path = tuple[str | int, ...]


def load_fully(content: dict) -> None:
    """Everything that reads keys of a YAML, before it is known whether the corpus is there."""
    config = build(content, RunConfig, "", NAME)
    model_config_from({**config.model.model_config, "vocab_size": 300}, config.model_type, NAME)
    growth_policy(config.growth, config.model_type, NAME)
    build_named(config.curriculum.ordering, ORDERINGS, "curriculum.ordering", NAME)


def key_paths(content: Any, above: Path = ()) -> Iterator[Path]:
    if isinstance(content, dict):
        for key, value in content.items():
            yield (*above, key)
            yield from key_paths(value, (*above, key))
    elif isinstance(content, list):
        for index, value in enumerate(content):
            yield from key_paths(value, (*above, index))


def section_of(content: Any, path: Path) -> dict:
    for key in path[:-1]:
        content = content[key]
    return content


def valid_keys(shipped: dict, path: Path) -> set[str]:
    """Keys that may stand in the section of `path`."""
    parameters = {
        ("model", "model_config"): TokenformerConfig,
        ("growth", "trigger"): TRIGGERS["complexity"],
        ("growth", "operators", "tokenformer"): OPERATORS["append_tokens"],
    }
    written = set(section_of(shipped, path))
    if path[:-1] in parameters:
        return written | {field.name for field in dataclasses.fields(parameters[path[:-1]])}
    return written


def one_edit(word: str) -> set[str]:
    """Words that differ by one deleted, inserted, replaced or swapped character."""
    cuts = [(word[:i], word[i:]) for i in range(len(word) + 1)]
    deleted = {a + b[1:] for a, b in cuts if b}
    swapped = {a + b[1] + b[0] + b[2:] for a, b in cuts if len(b) > 1}
    replaced = {a + letter + b[1:] for a, b in cuts if b for letter in LETTERS}
    inserted = {a + letter + b for a, b in cuts for letter in LETTERS}
    return (deleted | swapped | replaced | inserted) - {word, ""}


def renamed(content: dict, path: Path, misspelled: str) -> dict:
    content = copy.deepcopy(content)
    section = section_of(content, path)
    section[misspelled] = section.pop(path[-1])
    return content


@pytest.fixture(scope="module")
def shipped(repository) -> dict:
    content = yaml.safe_load((repository / "configs" / "tokenformer.yaml").read_text(encoding="utf-8"))
    load_fully(content)
    return content


@settings(max_examples=300)
@given(data=st.data())
def test_one_wrong_character_in_any_key_is_refused_with_the_key_that_was_meant(shipped, data):
    path = data.draw(st.sampled_from([path for path in key_paths(shipped) if path[-1] not in CHOICES]))
    misspelled = data.draw(st.sampled_from(sorted(one_edit(path[-1]))))
    valid = valid_keys(shipped, path)
    assume(misspelled not in valid)
    with pytest.raises(UserError) as caught:
        load_fully(renamed(shipped, path, misspelled))
    message = str(caught.value)
    assert misspelled in message
    assert message.startswith(f"{NAME}: ")
    assert ".".join(map(str, (*path[:-1], misspelled))) in message
    if valid & one_edit(misspelled) == {path[-1]}:
        assert f"did you mean {path[-1]}?" in message.replace("'", "")


@settings(max_examples=50)
@given(data=st.data(), misspelled=st.text(LETTERS, min_size=1, max_size=12))
def test_any_other_word_is_refused_with_some_valid_key(shipped, data, misspelled):
    path = data.draw(st.sampled_from([path for path in key_paths(shipped) if path[-1] not in CHOICES]))
    valid = valid_keys(shipped, path)
    assume(misspelled not in valid)
    with pytest.raises(UserError) as caught:
        load_fully(renamed(shipped, path, misspelled))
    # A word may mean a key of another section, which is then named by its whole path.
    elsewhere = {f"did you mean {'.'.join(map(str, other))}?" for other in key_paths(shipped) if len(other) > 1}
    assert any(answer in str(caught.value) for answer in valid | elsewhere)


def test_the_file_itself_is_named(shipped, tmp_path):
    path = tmp_path / "typo.yaml"
    path.write_text(yaml.safe_dump(renamed(shipped, ("tokens", "train_steps"), "trian_steps")))
    with pytest.raises(
        UserError, match=r"the key tokens\.trian_steps is not known; did you mean train_steps\?"
    ) as caught:
        load_config(path)
    assert str(path) in str(caught.value)


def test_a_misspelled_key_in_set_is_named(repository):
    with pytest.raises(UserError, match=r"optimizer\.wieght_decay is not known; did you mean weight_decay\?"):
        load_config(repository / "configs" / "tokenformer.yaml", ["optimizer.wieght_decay=0"])


@cases(
    (("growth", "trigger", "name"), TRIGGERS),
    (("growth", "operators", "tokenformer", "name"), OPERATORS),
)
@pytest.mark.parametrize("chosen", ["none", None, 3, ["append_tokens"]])
def test_a_wrong_choice_is_refused_with_all_choices(shipped, chosen, path, choices):
    content = copy.deepcopy(shipped)
    section_of(content, path)[path[-1]] = chosen
    with pytest.raises(UserError) as caught:
        load_fully(content)
    message = str(caught.value)
    assert message.startswith(f"{NAME}: {'.'.join(path)} is {chosen!r}")
    assert all(choice in message for choice in choices)
