"""Whose code may run."""

import json
import shutil
from importlib.resources import files
from pathlib import Path

import pytest

from tokenformer.evaluation.runners.opened_model import brings_our_code

MODULES = ("configuration_tokenformer.py", "layers_tokenformer.py", "modeling_tokenformer.py")


@pytest.fixture
def folder(tmp_path) -> Path:
    for name in MODULES:
        shutil.copy(str(files("tokenformer.hf") / name), tmp_path / name)
    write_config(tmp_path, "modeling_tokenformer.TokenformerForCausalLM")
    return tmp_path


def write_config(folder: Path, target: str) -> None:
    config = {"model_type": "tokenformer", "auto_map": {"AutoModelForCausalLM": target}}
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")


def test_the_code_of_an_export_is_ours(folder):
    assert brings_our_code(folder)


@pytest.mark.parametrize("name", MODULES)
def test_changed_code_is_not(folder, name):
    (folder / name).write_text((folder / name).read_text(encoding="utf-8") + "\n", encoding="utf-8")
    assert not brings_our_code(folder)


def test_more_code_is_not(folder):
    (folder / "more.py").write_text("", encoding="utf-8")
    assert not brings_our_code(folder)


def test_code_from_elsewhere_is_not(folder):
    write_config(folder, "someone/model--modeling_tokenformer.TokenformerForCausalLM")
    assert not brings_our_code(folder)


def test_no_code_is_not(folder, tmp_path):
    assert not brings_our_code(tmp_path / "absent")
    for name in MODULES:
        (folder / name).unlink()
    assert not brings_our_code(folder)
