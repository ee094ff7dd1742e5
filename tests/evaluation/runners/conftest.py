"""A small model in Hugging Face's format, and tasks small enough to be scored in a moment."""

import gzip
import json
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from tests.support.made_sentences import sentences
from tokenformer.data.tokenizer import train_tokenizer

transformers = pytest.importorskip("transformers", reason="these models are of transformers, in the extra [eval]")


@pytest.fixture(scope="session")
def tokenizer_folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("tokenizer")
    train_tokenizer(iter(sentences(300, seed=0)), 300, folder)
    return folder


def write_model(folder: Path, tokenizer_folder: Path, scale: float, length: int = 64) -> Path:
    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        vocab_size=320,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=length,
        bos_token_id=0,
        eos_token_id=0,
    )
    model = transformers.LlamaForCausalLM(config)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=scale)
    model.save_pretrained(folder)
    transformers.PreTrainedTokenizerFast.from_pretrained(tokenizer_folder).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory, tokenizer_folder) -> Path:
    return write_model(tmp_path_factory.mktemp("model"), tokenizer_folder, scale=0.3)


@pytest.fixture(scope="session")
def long_model_folder(tmp_path_factory, tokenizer_folder) -> Path:
    """As `model_folder`, for the longest sentences of BLiMP in a small vocabulary."""
    return write_model(tmp_path_factory.mktemp("long"), tokenizer_folder, scale=0.3, length=256)


@pytest.fixture(scope="session")
def zeroed_folder(tmp_path_factory, tokenizer_folder) -> Path:
    return write_model(tmp_path_factory.mktemp("zeroed"), tokenizer_folder, scale=0.0)


@pytest.fixture(scope="session")
def task_files(tmp_path_factory) -> Path:
    """A folder with `pairs.yaml` of two parts whose sentences are permutations, `boxes.yaml`, and their data."""
    folder = tmp_path_factory.mktemp("tasks")
    random = np.random.default_rng(1)
    for part in ("one", "two"):
        records = []
        for sentence in sentences(30, seed=len(part) + ord(part[0])):
            bad = sentence
            while bad == sentence:
                bad = " ".join(random.permutation(sentence.split()))
            records.append({"good": sentence, "bad": bad})
        with gzip.open(folder / f"{part}.jsonl.gz", "wt", encoding="utf-8") as file:
            file.writelines(json.dumps(record) + "\n" for record in records)
    boxes = [
        {"context": f"{first} {second} ", "options": sentences(5, seed=n)}
        for n, (first, second) in enumerate(zip(sentences(12, seed=5), sentences(12, seed=6), strict=True))
    ]
    (folder / "boxes.jsonl").write_text("".join(json.dumps(box) + "\n" for box in boxes), encoding="utf-8")
    shared = {"description": "made for a test", "version": 3}
    pairs = {"task": "pairs", **shared, "data": {"file": "{subtask}.jsonl.gz"}, "pairs": {"good": "good", "bad": "bad"}}
    pairs["groups"] = {"both": ["one", "two"]}
    options = {"task": "boxes", **shared, "data": {"file": "boxes.jsonl"}}
    options["options"] = {"context": "context", "options": "options"}
    for content in (pairs, options):
        (folder / f"{content['task']}.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    return folder
