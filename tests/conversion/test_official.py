"""Released checkpoints of the official Tokenformer, in the layout of their keys and shapes, become ours."""

import json
import os
import pickle
import re
from dataclasses import asdict
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch.nn import functional

from tests.support.folders import all_bytes
from tests.support.nanotron_reading import model_by_nanotron
from tokenformer import cli
from tokenformer.conversion import official
from tokenformer.errors import UserError
from tokenformer.model.config import TokenformerConfig
from tokenformer.trainer.checkpoint.records import read_growth
from tokenformer.trainer.checkpoint.written import one_process

LAYERS, HIDDEN, HEADS, VOCABULARY = 2, 32, 2, 50
MODULES = ("attention.query", "attention.key", "attention.value", "attention.proj", "mlp")


def official_state(layers, hidden, qkv, output, feed_forward, vocabulary, **like) -> dict[str, torch.Tensor]:
    """Tensors with the names, and in the order, of a released checkpoint."""
    tensors = {"sequential.0.word_embeddings.weight": torch.empty(vocabulary, hidden, **like)}
    for layer in range(layers):
        for module, tokens in zip(MODULES, (qkv, qkv, qkv, output, feed_forward), strict=True):
            for kind in ("key", "value"):
                name = f"sequential.{2 + layer}.{module}.{kind}_param_tokens"
                tensors[name] = torch.empty(tokens, hidden, **like)
    for kind in ("weight", "bias"):
        tensors[f"sequential.{layers + 3}.norm.{kind}"] = torch.empty(hidden, **like)
    return tensors


@pytest.fixture(scope="module")
def released() -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    tensors = official_state(LAYERS, HIDDEN, 8, 12, 20, VOCABULARY)
    return {name: tensor.normal_(std=0.3, generator=generator) for name, tensor in tensors.items()}


@pytest.fixture
def source(released, tmp_path) -> Path:
    torch.save(released, tmp_path / "pytorch_model.bin")
    return tmp_path / "pytorch_model.bin"


def tensors_by_place(model) -> dict[str, torch.Tensor]:
    """Our parameters under the official names, by where they stand in the model."""
    inner = model.model
    places = {
        "sequential.0.word_embeddings.weight": inner.token_position_embeddings.pp_block.token_embedding.weight,
        f"sequential.{len(inner.decoder) + 3}.norm.weight": inner.final_norm.pp_block.weight,
        f"sequential.{len(inner.decoder) + 3}.norm.bias": inner.final_norm.pp_block.bias,
    }
    for layer, block in enumerate(inner.decoder, 2):
        attention, feed_forward = block.pp_block.attention, block.pp_block.feed_forward
        projections = (*(getattr(attention.qkv, name) for name in ("query", "key", "value")), attention.output)
        for module, pattention in zip(MODULES, (*projections, feed_forward.pattention), strict=True):
            places[f"sequential.{layer}.{module}.key_param_tokens"] = pattention.key_tokens
            places[f"sequential.{layer}.{module}.value_param_tokens"] = pattention.value_tokens
    return places


def official_logits(tensors: dict[str, torch.Tensor], ids: torch.Tensor) -> torch.Tensor:
    """The official forward pass in plain torch, ids [batch, length] to [batch, length, vocabulary]."""

    def pattention(x, module):
        score = x @ tensors[f"{module}.key_param_tokens"].T
        normalised = score / score.norm(dim=-1, keepdim=True) * score.shape[-1] ** 0.5
        return functional.gelu(normalised) @ tensors[f"{module}.value_param_tokens"]

    def heads(x):
        return x.view(*x.shape[:-1], HEADS, -1).transpose(1, 2)

    def rotary(x, turned=HIDDEN // HEADS // 4):
        """NeoX: the first half of the turned features is paired with the second."""
        frequencies = 10000 ** -(torch.arange(0, turned, 2, dtype=x.dtype) / turned)
        angles = torch.outer(torch.arange(x.shape[-2], dtype=x.dtype), frequencies).repeat(1, 2)
        first, second = x[..., :turned].chunk(2, dim=-1)
        turned_part = x[..., :turned] * angles.cos() + torch.cat((-second, first), dim=-1) * angles.sin()
        return torch.cat((turned_part, x[..., turned:]), dim=-1)

    embedding = tensors["sequential.0.word_embeddings.weight"]
    x = embedding[ids]
    causal = torch.ones(ids.shape[1], ids.shape[1], dtype=torch.bool).tril()
    for layer in range(2, LAYERS + 2):
        name, normed = f"sequential.{layer}", functional.layer_norm(x, (HIDDEN,))
        query, key, value = (
            heads(pattention(normed, f"{name}.attention.{part}")) for part in ("query", "key", "value")
        )
        score = rotary(query) @ rotary(key).transpose(-1, -2) / (HIDDEN / HEADS) ** 0.5
        attended = score.masked_fill(~causal, -torch.inf).softmax(-1) @ value
        x = x + pattention(attended.transpose(1, 2).flatten(2), f"{name}.attention.proj")
        x = x + pattention(functional.layer_norm(x, (HIDDEN,)), f"{name}.mlp")
    norm = f"sequential.{LAYERS + 3}.norm"
    return functional.layer_norm(x, (HIDDEN,), tensors[f"{norm}.weight"], tensors[f"{norm}.bias"]) @ embedding.T


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_every_tensor_lands_where_it_belongs(dtype, released, tmp_path):
    tensors = {name: tensor.to(dtype) for name, tensor in released.items()}
    torch.save(tensors, tmp_path / "pytorch_model.bin")
    official.import_checkpoint(tmp_path / "pytorch_model.bin", tmp_path / "out", HEADS)
    with one_process() as context:
        model = model_by_nanotron(tmp_path / "out", context)
        places = tensors_by_place(model)
    assert places.keys() == tensors.keys()
    assert sum(place.numel() for place in places.values()) == sum(p.numel() for p in model.parameters())
    for name, place in places.items():
        assert place.dtype == dtype and torch.equal(place, tensors[name]), name


def test_the_imported_model_computes_what_the_official_one_does(released, source, tmp_path):
    official.import_checkpoint(source, tmp_path / "out", HEADS)
    ids = torch.randint(VOCABULARY, (3, 11), generator=torch.Generator().manual_seed(1))
    with one_process() as context, torch.no_grad():
        model = model_by_nanotron(tmp_path / "out", context)
        logits = model.model(input_ids=ids, input_mask=torch.ones_like(ids, dtype=torch.bool))
    expected = official_logits({name: tensor.double() for name, tensor in released.items()}, ids)
    assert expected.std() > 0.5
    torch.testing.assert_close(logits.transpose(0, 1).double(), expected, rtol=0, atol=1e-5)


def test_the_command_line_writes_a_whole_checkpoint(source, tmp_path, capsys):
    out = tmp_path / "deep" / "out"
    arguments = ["import", str(source.parent), str(out), "--heads", "2", "--context-length", "64"]
    environment = dict(os.environ)
    assert cli.main(arguments) == 0
    shown = capsys.readouterr().out
    assert shown.startswith(f"{out}: 8,832 parameters, 2 layers of width 32, 2 heads, 8, 12 and 20 tokens")
    assert [path.name for path in out.parent.iterdir()] == ["out"]
    files = {"model", "config.yaml", "model_config.json", "checkpoint_metadata.json", "growth.json", "checksums.json"}
    assert {path.name for path in out.iterdir()} == files
    growth = read_growth(out)
    config = TokenformerConfig(**growth.model_config)
    assert growth.events == [] and json.loads((out / "model_config.json").read_text()) == asdict(config)
    assert (config.tau, config.pattention_eps, config.max_position_embeddings) == ("current", 0, 64)
    assert dict(os.environ) == environment and not torch.distributed.is_initialized()

    before = all_bytes(out)
    assert cli.main(arguments) == 2
    assert "exists" in capsys.readouterr().err
    assert all_bytes(out) == before


SAVE = {
    "pytorch_model.bin": torch.save,
    "legacy.bin": lambda tensors, path: torch.save(tensors, path, _use_new_zipfile_serialization=False),
    "model.safetensors": save_file,
}


@pytest.mark.parametrize("name", SAVE)
def test_every_kind_of_file_is_read(name, released, tmp_path):
    SAVE[name](released, tmp_path / name)
    loaded = official.load_tensors(tmp_path / name)
    assert loaded.keys() == released.keys()
    assert all(torch.equal(loaded[key], released[key]) for key in released)


class RunsCode:
    """A pickle of this creates a file when it is loaded without care."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_what_holds_no_tensors_is_refused(released, tmp_path):
    (tmp_path / "code.bin").write_bytes(pickle.dumps({"weight": RunsCode(tmp_path / "ran")}, protocol=2))
    (tmp_path / "empty.bin").write_bytes(b"")
    (tmp_path / "text.safetensors").write_text("text")
    torch.save(released, tmp_path / "cut.bin")
    (tmp_path / "cut.bin").write_bytes((tmp_path / "cut.bin").read_bytes()[:-100])
    torch.save([1, 2], tmp_path / "list.bin")
    for name in ("code.bin", "empty.bin", "text.safetensors", "cut.bin", "list.bin", "missing.bin"):
        with pytest.raises(UserError, match=re.escape(name)):
            official.import_checkpoint(tmp_path / name, tmp_path / "out")
    assert not (tmp_path / "ran").exists() and not (tmp_path / "out").exists()


def test_a_folder_needs_one_file_of_the_known_names(released, tmp_path):
    with pytest.raises(UserError, match="none of pytorch_model.bin"):
        official.load_tensors(tmp_path)
    torch.save(released, tmp_path / "pytorch_model.bin")
    save_file(released, tmp_path / "model.safetensors")
    with pytest.raises(UserError, match="more than one of pytorch_model.bin"):
        official.load_tensors(tmp_path)


sizes = st.integers(1, 5)


@given(layers=sizes, hidden=sizes, tokens=st.tuples(sizes, sizes, sizes), vocabulary=sizes)
def test_the_sizes_are_those_of_the_shapes(layers, hidden, tokens, vocabulary):
    tensors = official_state(layers, hidden, *tokens, vocabulary, device="meta")
    found = official.check_layout(tensors, Path("file"))
    assert found == official.OfficialSizes(layers, hidden, vocabulary, *tokens)
    assert official.official_shapes(found) == {name: tuple(tensor.shape) for name, tensor in tensors.items()}


def listed(message: str) -> dict[str, list[str]]:
    """The lists of an error's message, by kind."""
    groups = [group.partition(": ") for group in message.split("; ")[1:]]
    return {kind: names.split(", ") for kind, _, names in groups}


NAMES = list(official_state(LAYERS, HIDDEN, 8, 12, 20, VOCABULARY, device="meta"))
NORM = f"sequential.{LAYERS + 3}.norm.weight"
STRANGE = [
    "lm_head.weight",
    "sequential.2.attention.query.bias",
    "sequential.1.weight",
    "sequential.8.mlp.key",
    "module",
]


@settings(max_examples=60)
@given(missing=st.sets(st.sampled_from(NAMES)), strange=st.sets(st.sampled_from(STRANGE)))
def test_the_error_lists_what_is_missing_and_what_is_unexpected(missing, strange):
    tensors = official_state(LAYERS, HIDDEN, 8, 12, 20, VOCABULARY, device="meta")
    content = {name: tensor for name, tensor in tensors.items() if name not in missing}
    tells_width = any(tensor.ndim == 2 for tensor in content.values())
    content |= {name: {} if name == "module" else torch.empty(3, HIDDEN, device="meta") for name in strange}
    if not missing and not strange:
        official.check_layout(content, Path("file"))
        return
    with pytest.raises(UserError) as error:
        official.check_layout(content, Path("file"))
    lists = listed(str(error.value))
    if NORM not in missing:  # it tells the number of layers
        assert set(lists.get("missing", [])) == missing
        assert set(lists.get("unexpected", [])) == set(map(str, strange))
    if tells_width:
        assert lists.keys() <= {"missing", "unexpected"}


def test_the_error_lists_wrong_shapes_and_dtypes(released, tmp_path, capsys):
    key, value = "sequential.2.mlp.key_param_tokens", "sequential.3.attention.proj.value_param_tokens"
    content = {**released, key: torch.zeros(20, 31), value: torch.zeros(12), NORM: released[NORM].half()}
    torch.save(content, tmp_path / "odd.bin")
    assert cli.main(["import", str(tmp_path / "odd.bin"), str(tmp_path / "out"), "--heads", "2"]) == 2
    message = capsys.readouterr().err
    assert message.count("\n") == 1
    assert f"wrong shape: {key} [20, 31] for [20, 32], {value} [12] for [12, 32]; " in message
    assert f"wrong dtype: {NORM} torch.float16 for torch.float32\n" in message
    assert [path.name for path in tmp_path.iterdir()] == ["odd.bin"]


@pytest.mark.parametrize(("hidden", "heads"), [(768, 12), (1024, 16), (1280, 16), (1536, 16), (512, 8)])
def test_heads_are_those_of_the_released_models(hidden, heads):
    found = official.OfficialSizes(2, hidden, VOCABULARY, 8, 8, 8)
    assert official.official_config(found, None, 16).num_attention_heads == heads
    assert official.official_config(found, 4, 16).num_attention_heads == 4


@pytest.mark.parametrize(("hidden", "heads"), [(80, None), (768, 7), (64, 0), (64, -2)])
def test_heads_that_are_not_known_or_do_not_fit_are_refused(hidden, heads):
    with pytest.raises(UserError, match="option heads" if heads is None else f"heads {heads}"):
        official.official_config(official.OfficialSizes(2, hidden, VOCABULARY, 8, 8, 8), heads, 16)


def test_several_processes_do_not_write_one_checkpoint(source, tmp_path, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(UserError, match="one process"):
        official.import_checkpoint(source, tmp_path / "out", HEADS)
    assert [path.name for path in tmp_path.iterdir()] == [source.name]
