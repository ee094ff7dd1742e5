"""Folders that transformers wrote become checkpoints that Nanotron's model computes the same with."""

import json
import shutil

import pytest
import torch

from tests.support.random_checkpoints import llama_config, tokenformer_config, trained_states, write_random_checkpoint
from tokenformer.cli import main
from tokenformer.conversion import hugging_face, verification
from tokenformer.conversion.export import export_checkpoint
from tokenformer.data.tokenizer import train_tokenizer
from tokenformer.errors import UserError
from tokenformer.trainer.checkpoint.stored import StoredCheckpoint

transformers = pytest.importorskip("transformers", reason="the extra [export] is not here")
CONFIGS = {
    "tokenformer": lambda: tokenformer_config(num_key_value_heads=1, tie_word_embeddings=False),
    "llama": lambda: llama_config(num_key_value_heads=3, rope_theta=77.0, bos_token_id=3),
}


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tokenizer")
    train_tokenizer(iter(["a cat sat on a mat", "a cat and a hat"] * 4), 270, folder)
    return folder


@pytest.fixture(scope="module", params=CONFIGS)
def pair(request, tmp_path_factory, tokenizer):
    """A checkpoint of random weights in bf16, and its export."""
    folder = tmp_path_factory.mktemp(request.param)
    checkpoint = write_random_checkpoint(folder / "checkpoint", CONFIGS[request.param](), torch.bfloat16)
    lines = export_checkpoint(checkpoint, folder / "export", tokenizer)
    assert "max |logit difference|" in lines[0]
    return checkpoint, folder / "export"


def assert_same(first: StoredCheckpoint, second: StoredCheckpoint) -> None:
    assert first.keys() == second.keys()
    for name in first:
        assert torch.equal(first.weight(name), second.weight(name)) and first.dtype == second.dtype


def test_an_export_comes_back_bit_for_bit(pair, tmp_path):
    checkpoint, export = pair
    assert main(["import", str(export), str(tmp_path / "back")]) == 0
    stored, back = StoredCheckpoint(checkpoint), StoredCheckpoint(tmp_path / "back")
    assert_same(stored, back)
    assert stored.model_settings == back.model_settings


def test_without_our_record_the_config_is_read(pair, tmp_path):
    checkpoint, export = pair
    copy = shutil.copytree(export, tmp_path / "copy")
    (copy / "training.json").unlink()
    hugging_face.import_model(copy, tmp_path / "back")
    stored, back = StoredCheckpoint(checkpoint), StoredCheckpoint(tmp_path / "back")
    assert_same(stored, back)
    differing = {key for key in stored.model_settings if stored.model_settings[key] != back.model_settings[key]}
    assert differing <= {"bos_token_id", "eos_token_id", "pad_token_id"}


def test_a_llama_of_transformers_computes_the_same_in_nanotron(tmp_path):
    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        hidden_size=24,
        intermediate_size=40,
        num_hidden_layers=2,
        num_attention_heads=6,
        num_key_value_heads=2,
        vocab_size=60,
        max_position_embeddings=32,
        tie_word_embeddings=True,
        initializer_range=0.2,
    )
    model = transformers.LlamaForCausalLM(config).eval()
    model.save_pretrained(tmp_path / "model")
    hugging_face.import_model(tmp_path / "model", tmp_path / "checkpoint")
    ids = torch.randint(60, (2, 20))
    with torch.no_grad():
        expected = model(ids).logits
    torch.testing.assert_close(trained_states(tmp_path / "checkpoint", ids)[0], expected, rtol=0, atol=1e-5)


def damage(name):
    def remove(folder):
        (folder / name).unlink()

    return remove


def change(name, **values):
    def write(folder):
        content = json.loads((folder / name).read_text())
        (folder / name).write_text(json.dumps(content | values))

    return write


DAMAGES = {
    "no weights": (damage("model.safetensors"), "holds no .safetensors"),
    "cut weights": (lambda folder: (folder / "model.safetensors").write_bytes(b"{}"), "damaged"),
    "another config": (change("config.json", hidden_size=48), "hidden_size: 48, and training.json beside it 24"),
    "another type": (change("config.json", model_type="gpt2"), "only tokenformer and llama can be imported"),
    "a missing layer": (
        lambda folder: [
            change(name, num_hidden_layers=3)(folder) or damage("training.json")(folder) for name in ["config.json"]
        ],
        "lacks the tensor",
    ),
}


@pytest.mark.parametrize(("damaged", "named"), DAMAGES.values(), ids=DAMAGES.keys())
def test_what_cannot_be_imported_is_named(pair, tmp_path, damaged, named):
    copy = shutil.copytree(pair[1], tmp_path / "copy")
    damaged(copy)
    with pytest.raises(UserError, match=named):
        hugging_face.import_model(copy, tmp_path / "back")
    assert [path.name for path in tmp_path.iterdir()] == ["copy"]


def test_an_export_that_computes_something_else_is_refused(pair, tmp_path, tokenizer, monkeypatch):
    honest = verification.trained_logits
    monkeypatch.setattr(verification, "trained_logits", lambda *details: honest(*details) + 0.01)
    with pytest.raises(UserError, match="computes something else: max .logit difference. 1.0e-02"):
        export_checkpoint(pair[0], tmp_path / "export", tokenizer)
    assert list(tmp_path.iterdir()) == []


def test_without_transformers_the_extra_is_named(pair, tmp_path, tokenizer, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"pip install 'tokenformer\[export\]', or do not verify it"):
        export_checkpoint(pair[0], tmp_path / "export", tokenizer)
