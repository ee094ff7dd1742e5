"""Whose code may run: none that comes with a folder, unless the user says so."""

import json
import shutil
import sys
from pathlib import Path

import pytest
import torch

from tests.evaluation.runners.conftest import write_model
from tokenformer.cli import main
from tokenformer.conversion.tokenformer_format import CLASSES, TokenformerFormat
from tokenformer.errors import UserError
from tokenformer.evaluation.runners.opened_model import ModelSource, opened_model
from tokenformer.hf.configuration_tokenformer import TokenformerConfig
from tokenformer.hf.modeling_tokenformer import TokenformerForCausalLM

MARK = "import pathlib; pathlib.Path({mark!r}).write_text('foreign code ran')\n"


@pytest.fixture
def foreign(tmp_path, monkeypatch):
    """`foreign(path)` writes a module that leaves a mark where it runs; `foreign.ran()` tells."""
    mark = tmp_path / "mark"
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")

    def write(path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(MARK.format(mark=str(mark)) + "raise SystemExit(3)\n", encoding="utf-8")

    write.ran = mark.exists
    return write


@pytest.fixture(scope="module")
def made_export(tmp_path_factory, tokenizer_folder) -> Path:
    """An export of a small Tokenformer, with its tokenizer and our code beside it."""
    folder = tmp_path_factory.mktemp("export") / "model"
    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "max_position_embeddings": 64}
    tokens = {"qkv_tokens": 8, "output_tokens": 8, "feed_forward_tokens": 16, "vocab_size": 320}
    TokenformerForCausalLM(TokenformerConfig(**sizes, **tokens, eos_token_id=0, bos_token_id=0)).save_pretrained(folder)
    for name in ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"):
        shutil.copy(tokenizer_folder / name, folder / name)
    source = Path(sys.modules[TokenformerConfig.__module__].__file__).parent
    for module in TokenformerFormat.code:
        shutil.copy(source / f"{module}.py", folder / f"{module}.py")
    change(folder / "config.json", auto_map=CLASSES)
    return folder


@pytest.fixture
def export(made_export, tmp_path) -> Path:
    return shutil.copytree(made_export, tmp_path / "export")


def change(path: Path, **entries) -> None:
    path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | entries), encoding="utf-8")


def change_code(export: Path, foreign) -> dict:
    foreign(export / "modeling_tokenformer.py")


def name_a_subfolder(export: Path, foreign) -> dict:
    foreign(export / "sub" / "modeling.py")
    change(export / "config.json", auto_map=dict.fromkeys(CLASSES, "sub.modeling.TokenformerForCausalLM"))


def name_another_folder(export: Path, foreign) -> dict:
    other = export.parent / "other"
    foreign(other / "modeling.py")
    change(export / "config.json", auto_map=dict.fromkeys(CLASSES, f"{other}--modeling.TokenformerForCausalLM"))


def name_the_hub(export: Path, foreign) -> dict:
    change(export / "config.json", auto_map=dict.fromkeys(CLASSES, "someone/else--modeling.TokenformerForCausalLM"))


def tokenizer_in_the_folder(export: Path, foreign) -> dict:
    foreign(export / "tokenization.py")
    change(export / "tokenizer_config.json", auto_map={"AutoTokenizer": [None, "tokenization.Foreign"]})


def tokenizer_in_a_subfolder(export: Path, foreign) -> dict:
    foreign(export / "sub" / "tokenization.py")
    names = {"tokenizer_class": "Foreign", "auto_map": {"AutoTokenizer": [None, "sub.tokenization.Foreign"]}}
    change(export / "tokenizer_config.json", **names)


def tokenizer_in_another_folder(export: Path, foreign) -> dict:
    other = export.parent / "other"
    foreign(other / "tokenization.py")
    change(export / "tokenizer_config.json", auto_map={"AutoTokenizer": [None, f"{other}--tokenization.Foreign"]})


def tokenizer_on_the_hub(export: Path, foreign) -> dict:
    change(export / "tokenizer_config.json", auto_map={"AutoTokenizer": [None, "someone/else--tokenization.Foreign"]})


def another_tokenizer_folder(export: Path, foreign) -> dict:
    other = shutil.copytree(export, export.parent / "with_code")
    tokenizer_in_the_folder(other, foreign)
    return {"tokenizer": str(other)}


def generation_code(export: Path, foreign) -> dict:
    foreign(export / "custom_generate" / "generate.py")


def another_model_type(export: Path, foreign) -> dict:
    foreign(export / "modeling_tokenformer.py")
    change(export / "config.json", model_type="foreign", auto_map=CLASSES)


ROADS = [
    change_code,
    name_a_subfolder,
    name_another_folder,
    name_the_hub,
    tokenizer_in_the_folder,
    tokenizer_in_a_subfolder,
    tokenizer_in_another_folder,
    tokenizer_on_the_hub,
    another_tokenizer_folder,
    generation_code,
    another_model_type,
]


@pytest.mark.parametrize("road", ROADS, ids=lambda road: road.__name__)
def test_no_code_of_a_folder_runs_without_being_asked_for(export, foreign, road, monkeypatch):
    monkeypatch.setattr("builtins.input", lambda *prompt: pytest.fail(f"a prompt: {prompt}"))
    settings = road(export, foreign) or {}
    try:
        with opened_model(ModelSource(str(export), **settings)) as model:
            assert type(model.network.model) is TokenformerForCausalLM
    except UserError as error:
        assert "trust_remote_code" in str(error) or "cannot be opened" in str(error)
    assert not foreign.ran()


def test_the_code_of_an_export_is_not_needed(export, task_files, tmp_path, capsys):
    for module in TokenformerFormat.code:
        (export / f"{module}.py").unlink()
    words = ["eval", str(export), "--tasks", str(task_files / "pairs.yaml"), "--data", str(task_files)]
    assert main(words) == 0


def test_foreign_code_runs_where_the_user_says_so(export, foreign):
    another_model_type(export, foreign)
    with pytest.raises(SystemExit), opened_model(ModelSource(str(export), trust_remote_code=True)):
        pass
    assert foreign.ran()


def test_a_plain_model_opens_as_before(tmp_path, tokenizer_folder):
    with opened_model(ModelSource(str(write_model(tmp_path / "llama", tokenizer_folder, scale=0.3)))) as model:
        assert model.end_of_text == 0
