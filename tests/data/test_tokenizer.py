"""Byte-level BPE: exact round trips, determinism, Hugging Face's own loader, and tokenizers made by others."""

import json
import pickle
import subprocess
import sys
import unicodedata
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context

import pytest
import tokenizers
from hypothesis import example, given
from hypothesis import strategies as st

from tests.support.cases import cases, refused
from tokenformer.data.tokenizer import END_OF_DOCUMENT, load_tokenizer, train_tokenizer
from tokenformer.errors import UserError

TEXTS = [
    "Åsa äter ödlor på kaféet. " * 5,
    "The cat sat on the mat, and the dog sat too.",
    "def f(x):\n    return x\n",
] * 20
SWEDISH = "Åsa äter Ödlor på kaféet"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("tokenizer")
    train_tokenizer(iter(TEXTS), 300, path)
    return path


@pytest.fixture(scope="module")
def tokenizer(folder):
    return load_tokenizer(folder)


@given(st.text(st.characters(exclude_categories=["Cs"])))
@example(SWEDISH)
@example(unicodedata.normalize("NFD", SWEDISH))
@example("👩‍👩‍👧‍👦 🏴‍☠️ e\u0301\u0323")
@example("  two  spaces \n\n\ttab \r\n")
@example(f"a {END_OF_DOCUMENT} in the text{END_OF_DOCUMENT}")
@example("\ufeff\u200b\ufffd")
def test_round_trip(tokenizer, text):
    (ids,) = tokenizer.encode_batch([text])
    assert tokenizer.decode(ids) == text
    assert tokenizer.end_of_document_id not in ids
    assert all(0 <= token < tokenizer.vocabulary_size for token in ids)


def test_nfc_and_nfd_are_kept_apart(tokenizer):
    composed, decomposed = tokenizer.encode_batch([SWEDISH, unicodedata.normalize("NFD", SWEDISH)])
    assert composed != decomposed


def test_the_vocabulary_is_bytes_merges_and_the_end(tokenizer):
    assert tokenizer.vocabulary_size == 300
    assert tokenizer.end_of_document_token == END_OF_DOCUMENT
    assert tokenizer.decode([tokenizer.end_of_document_id]) == END_OF_DOCUMENT


def test_the_smallest_vocabulary_encodes_bytes(tmp_path):
    tokenizer = train_tokenizer(iter(TEXTS), 257, tmp_path)
    assert tokenizer.vocabulary_size == 257
    assert len(tokenizer.encode_batch([SWEDISH])[0]) == len(SWEDISH.encode())


def test_a_vocabulary_below_the_bytes_is_refused(tmp_path):
    with pytest.raises(UserError, match="257 or more"):
        train_tokenizer(iter(TEXTS), 256, tmp_path / "t")
    assert not (tmp_path / "t").exists()


def test_training_is_deterministic_in_another_process_and_order(folder, tmp_path):
    script = (
        "import sys; from pathlib import Path; from tokenformer.data.tokenizer import train_tokenizer\n"
        f"train_tokenizer(iter({TEXTS[::-1]!r}), 300, Path(sys.argv[1]))"
    )
    subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=True)
    for name in ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"):
        assert (tmp_path / name).read_bytes() == (folder / name).read_bytes()


def test_transformers_loads_the_folder_and_agrees(folder, tokenizer):
    transformers = pytest.importorskip("transformers")
    for loader in (transformers.AutoTokenizer, transformers.PreTrainedTokenizerFast):
        loaded = loader.from_pretrained(folder)
        assert loaded.eos_token_id == loaded.bos_token_id == loaded.pad_token_id == tokenizer.end_of_document_id
        assert loaded.unk_token is None
        assert len(loaded) == tokenizer.vocabulary_size
        for text in [SWEDISH, unicodedata.normalize("NFD", SWEDISH), " x  y . "]:
            assert loaded(text).input_ids == tokenizer.encode_batch([text])[0]
            assert loaded.decode(loaded(text).input_ids) == text


def test_the_class_is_one_that_transformers_4_knows(folder):
    assert json.loads((folder / "tokenizer_config.json").read_text())["tokenizer_class"] == "PreTrainedTokenizerFast"


def test_encoding_is_the_same_in_threads_and_processes(tokenizer):
    batches = [TEXTS, [END_OF_DOCUMENT, SWEDISH], ["", " "]] * 4
    expected = [tokenizer.encode_batch(batch) for batch in batches]
    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(tokenizer.encode_batch, batches)) == expected
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as processes:
        assert list(processes.map(tokenizer.encode_batch, batches)) == expected


def test_a_pickled_tokenizer_is_the_same(tokenizer):
    copy = pickle.loads(pickle.dumps(tokenizer))
    assert copy.fingerprint == tokenizer.fingerprint
    assert copy.encode_batch([END_OF_DOCUMENT]) == tokenizer.encode_batch([END_OF_DOCUMENT])


def foreign(folder, tokens=("<s>", "</s>"), **files):
    """A tokenizer as others make them: a template that adds tokens, truncation, padding; `files` are its companions."""
    model = tokenizers.Tokenizer(tokenizers.models.WordLevel({"a": 0, "b": 1, "[UNK]": 2}, unk_token="[UNK]"))
    model.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    model.add_special_tokens(list(tokens))
    if tokens:
        model.post_processor = tokenizers.processors.TemplateProcessing(
            single="<s> $A </s>", special_tokens=[(token, model.token_to_id(token)) for token in tokens]
        )
    model.enable_truncation(2)
    model.enable_padding(length=8)
    folder.mkdir(exist_ok=True)
    model.save(str(folder / "tokenizer.json"))
    for name, content in files.items():
        (folder / f"{name}.json").write_text(json.dumps(content))
    return folder


@cases(
    {"tokenizer_config": {"eos_token": "</s>"}},
    {"tokenizer_config": {"eos_token": {"content": "</s>", "lstrip": False}}},
    {"tokenizer_config": {"eos_token": None}, "special_tokens_map": {"eos_token": "</s>"}},
    {"tokenizer_config": {"eos_token": "</s>"}, "generation_config": {"eos_token_id": 0}},
    {"generation_config": {"eos_token_id": 4}},
    {"generation_config": {"eos_token_id": [4, 3]}},
    {"config": {"eos_token_id": 4}},
    ids=str,
)
def test_the_end_of_document_token_is_found(tmp_path, files):
    for path in (foreign(tmp_path / "t", **files), tmp_path / "t" / "tokenizer.json"):
        tokenizer = load_tokenizer(path)
        assert (tokenizer.end_of_document_id, tokenizer.end_of_document_token) == (4, "</s>")
        assert tokenizer.encode_batch(["a b b a", ""]) == [[0, 1, 1, 0], []]
        assert tokenizer.vocabulary_size == 5
        assert tokenizer.folder == tmp_path / "t"


@cases(
    ({"generation_config": {"eos_token_id": 4}}, {"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": "</s>"}),
    ({"tokenizer_config": {"eos_token": "</s>", "x": 1}}, {"eos_token": "</s>", "x": 1}),
    (
        {"tokenizer_config": {"x": 1}, "special_tokens_map": {"eos_token": "</s>"}},
        {"tokenizer_class": "PreTrainedTokenizerFast", "x": 1, "eos_token": "</s>"},
    ),
)
def test_a_saved_copy_is_complete_and_names_its_end_token(tmp_path, files, config):
    original = load_tokenizer(foreign(tmp_path / "t", **files))
    original.save(tmp_path / "copy")
    copy = load_tokenizer(tmp_path / "copy")
    assert (copy.fingerprint, copy.end_of_document_id) == (original.fingerprint, 4)
    saved = json.loads((tmp_path / "copy" / "tokenizer_config.json").read_text())
    assert saved == config


@refused(
    ({}, r'no end-of-document token: name one of its tokens in .*tokenizer_config.json, .*"eos_token"'),
    ({"tokenizer_config": {"eos_token": "<eos>"}}, "'<eos>', which .* does not have"),
    ({"generation_config": {"eos_token_id": 99}}, "99, which .* does not have"),
    ({"tokenizer_config": ["eos_token"]}, "no JSON object"),
)
def test_an_end_of_document_token_that_is_not_there(tmp_path, files):
    load_tokenizer(foreign(tmp_path / "t", **files))


def test_what_is_no_tokenizer(tmp_path):
    with pytest.raises(UserError, match="no tokenizer at .*tokenizer.json"):
        load_tokenizer(tmp_path)
    (tmp_path / "tokenizer.json").write_text('{"model": {}}')
    with pytest.raises(UserError, match="tokenizer.json is not a tokenizer"):
        load_tokenizer(tmp_path)


def test_a_link_out_of_the_folder_is_not_copied(tmp_path):
    folder = tmp_path / "mine"
    train_tokenizer(iter(["a text of some words"]), 257, folder)
    (tmp_path / "secret").write_text("secret")
    (folder / "chat_template.jinja").symlink_to(tmp_path / "secret")
    with pytest.raises(UserError, match="chat_template.jinja is a link to .*secret, outside of the tokenizer's folder"):
        load_tokenizer(folder).save(tmp_path / "copy")
    snapshot = tmp_path / "hub" / "snapshots" / "1"
    snapshot.mkdir(parents=True)
    (tmp_path / "hub" / "blobs").mkdir()
    for number, path in enumerate(path for path in folder.iterdir() if not path.is_symlink()):
        blob = path.rename(tmp_path / "hub" / "blobs" / str(number))
        (snapshot / path.name).symlink_to(blob)
    load_tokenizer(snapshot).save(tmp_path / "from the hub")
    assert (tmp_path / "from the hub" / "tokenizer_config.json").is_file()
