"""The tokenizer of an export, in files that transformers 4 and 5 read alike."""

import json
import shutil

import pytest
from tokenizers import Tokenizer, models

from tokenformer.conversion.exported_tokenizer import write_tokenizer
from tokenformer.errors import UserError


def save_tokenizer(folder, **config):
    folder.mkdir()
    vocabulary = {"<end>": 0, "<begin>": 1, "<fill>": 2, "word": 3}
    Tokenizer(models.WordLevel(vocabulary, unk_token="word")).save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(json.dumps({"eos_token": "<end>", **config}))
    return folder


def written(source, folder):
    folder.mkdir()
    special = write_tokenizer(source, folder, longest=64, vocabulary_size=8)
    return special, json.loads((folder / "tokenizer_config.json").read_text())


def test_the_end_of_documents_begins_texts_and_fills_batches_unless_other_tokens_do(tmp_path):
    special, config = written(save_tokenizer(tmp_path / "plain"), tmp_path / "out")
    assert (special.bos_token_id, special.eos_token_id, special.pad_token_id) == (0, 0, 0)
    own = {"bos_token": {"content": "<begin>", "lstrip": False}, "pad_token": "<fill>", "padding_side": "left"}
    special, config = written(save_tokenizer(tmp_path / "own", **own), tmp_path / "own-out")
    assert (special.bos_token_id, special.eos_token_id, special.pad_token_id) == (1, 0, 2)
    assert (config["bos_token"], config["padding_side"]) == ("<begin>", "left")


def test_it_is_a_class_that_both_versions_know(tmp_path):
    of_five = {"tokenizer_class": "TokenizersBackend", "extra_special_tokens": ["<fill>"], "model_max_length": 8}
    _, config = written(save_tokenizer(tmp_path / "five", **of_five), tmp_path / "out")
    assert (config["tokenizer_class"], config["model_max_length"]) == ("PreTrainedTokenizerFast", 64)
    assert config["additional_special_tokens"] == ["<fill>"] and "extra_special_tokens" not in config


def test_what_does_not_fit_is_refused(tmp_path):
    source = save_tokenizer(tmp_path / "source", bos_token="<start>")
    with pytest.raises(UserError, match="the tokens <start>, which tokenizer.json lacks"):
        written(source, tmp_path / "out")
    shutil.rmtree(tmp_path / "out")
    (tmp_path / "out").mkdir()
    with pytest.raises(UserError, match="has 4 tokens and the model 3"):
        write_tokenizer(source, tmp_path / "out", longest=64, vocabulary_size=3)
