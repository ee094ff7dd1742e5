"""The tokenizer of an export: the trained one, in files that transformers 4 and 5 read alike."""

import json
from dataclasses import dataclass
from pathlib import Path

import tokenizers

from tokenformer.data.tokenizer import load_tokenizer
from tokenformer.errors import UserError
from tokenformer.files import write_atomically

CONFIG, TOKENS = "tokenizer_config.json", "special_tokens_map.json"


@dataclass(frozen=True)
class SpecialTokens:
    """Ids of the tokens that begin a text, end a document and fill a batch."""

    bos_token_id: int
    eos_token_id: int
    pad_token_id: int


def write_tokenizer(source: Path, folder: Path, longest: int, vocabulary_size: int) -> SpecialTokens:
    """Writes the tokenizer of `source` into an export.

    It encodes as in training: nothing is added to a text. A token that begins texts, or fills batches, is the one that
    ends documents where the tokenizer names none, as it is in training.

    Args:
        source: folder with a tokenizer.json, or that file.
        longest: tokens that the model reads, `model_max_length`.
        vocabulary_size: of the model.

    Raises:
        UserError: there is no such tokenizer, or it has more tokens than the model.
    """
    tokenizer = load_tokenizer(source)
    if tokenizer.vocabulary_size > vocabulary_size:
        raise UserError(
            f"the tokenizer {source} has {tokenizer.vocabulary_size} tokens and the model {vocabulary_size}: give the "
            f"one that the model was trained with, as the option tokenizer"
        )
    tokenizer.save(folder)
    config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    end = config["eos_token"]
    if isinstance(config.get("extra_special_tokens"), list):  # the name of transformers 5
        config["additional_special_tokens"] = config.pop("extra_special_tokens")
    tokens = {key: _content(config.get(key) or end) for key in ("bos_token", "eos_token", "pad_token")}
    config |= {
        **tokens,
        "tokenizer_class": "PreTrainedTokenizerFast",  # transformers 5 would write a class that 4 does not know
        "model_max_length": longest,
        "model_input_names": ["input_ids", "attention_mask"],  # a Llama takes no token types
        "padding_side": config.get("padding_side", "right"),
        "clean_up_tokenization_spaces": config.get("clean_up_tokenization_spaces", False),
    }
    write_atomically(folder / CONFIG, json.dumps(config, ensure_ascii=False, indent=2) + "\n")
    write_atomically(folder / TOKENS, json.dumps(tokens, ensure_ascii=False, indent=2) + "\n")
    return _ids(folder, tokens)


def _content(token: "str | dict") -> str:
    return token["content"] if isinstance(token, dict) else token


def _ids(folder: Path, tokens: dict[str, str]) -> SpecialTokens:
    vocabulary = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json")).get_vocab(with_added_tokens=True)
    missing = [token for token in tokens.values() if token not in vocabulary]
    if missing:
        raise UserError(f"{folder.name}: {CONFIG} names the tokens {', '.join(missing)}, which tokenizer.json lacks")
    return SpecialTokens(**{f"{key}_id": vocabulary[token] for key, token in tokens.items()})
