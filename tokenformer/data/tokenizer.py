"""Tokenizers in Hugging Face's format: training a byte-level BPE, loading any, and encoding without surprises."""

import hashlib
import json
import shutil
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import tokenizers
from tokenizers import decoders, models, pre_tokenizers, trainers

from tokenformer.errors import UserError
from tokenformer.files import write_atomically

END_OF_DOCUMENT = "<|endoftext|>"
SMALLEST_VOCABULARY = 257
"""The 256 bytes and the end-of-document token."""

_TOKENIZER_FILE = "tokenizer.json"
_CONFIG_FILE = "tokenizer_config.json"
_COMPANION_FILES = (_CONFIG_FILE, "special_tokens_map.json", "added_tokens.json", "chat_template.jinja")
_TOKEN_ENTRIES = (_CONFIG_FILE, "special_tokens_map.json")
_ID_ENTRIES = ("generation_config.json", "config.json")


class Tokenizer:
    """A `tokenizers.Tokenizer` that encodes nothing but the text and knows what ends a document.

    No special tokens, truncation or padding are added, and a special token's name inside a text is encoded as ordinary
    characters, so that no text can forge the end of a document. Encoding is safe from several threads, and an instance
    can be sent to another process.
    """

    def __init__(self, serialized: bytes, end_of_document_id: int, folder: Path):
        """`serialized`: the bytes of a tokenizer.json; `folder`: where its companion files lie."""
        self._serialized = serialized
        self._tokenizer = tokenizers.Tokenizer.from_buffer(serialized)
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self._tokenizer.encode_special_tokens = True
        self.end_of_document_id = end_of_document_id
        self.folder = folder

    def __reduce__(self):
        return (Tokenizer, (self._serialized, self.end_of_document_id, self.folder))

    @cached_property
    def vocabulary_size(self) -> int:
        """Rows that an embedding needs: the highest token id + 1."""
        return 1 + max(self._tokenizer.get_vocab(with_added_tokens=True).values())

    @property
    def fingerprint(self) -> str:
        """SHA-256 of tokenizer.json, as hexadecimal digits."""
        return hashlib.sha256(self._serialized).hexdigest()

    @property
    def end_of_document_token(self) -> str:
        """The end-of-document token as it is written in the vocabulary."""
        return self._tokenizer.id_to_token(self.end_of_document_id)  # pyright: ignore[reportReturnType] (it has one)

    def encode_batch(self, texts: list[str]) -> list[list[int]]:
        """Token ids of each text."""
        return [encoding.ids for encoding in self._tokenizer.encode_batch_fast(texts, add_special_tokens=False)]

    def decode(self, ids: list[int]) -> str:
        """The text of token ids, special tokens spelt out."""
        return self._tokenizer.decode(ids, skip_special_tokens=False)

    def save(self, folder: Path) -> None:
        """Write tokenizer.json and its companion files into `folder`; their config names the end-of-document token."""
        folder.mkdir(parents=True, exist_ok=True)
        for name in _COMPANION_FILES:
            if (self.folder / name).is_file():
                _refuse_link(self.folder / name)
                shutil.copyfile(self.folder / name, folder / name)
        config = _read_json(folder / _CONFIG_FILE) if (folder / _CONFIG_FILE).is_file() else {}
        if not config.get("eos_token"):
            config = {"tokenizer_class": "PreTrainedTokenizerFast", **config, "eos_token": self.end_of_document_token}
            _write_json(folder / _CONFIG_FILE, config)
        write_atomically(folder / _TOKENIZER_FILE, self._serialized)


def train_tokenizer(texts: Iterator[str], vocabulary_size: int, folder: Path) -> Tokenizer:
    """Train a byte-level BPE on `texts` and save it as a Hugging Face tokenizer folder, for transformers 4 and 5.

    There is no normaliser and no prefix space, and all 256 bytes are in the vocabulary: `decode(encode(x)) == x` for
    any text. `<|endoftext|>` (id 0) is the end-of-document, beginning-of-text and padding token; an unknown token is
    not needed. Merges must occur twice, so a small corpus may give fewer than `vocabulary_size` tokens. The same texts
    give the same tokenizer.

    Raises UserError when `vocabulary_size` is below 257.
    """
    check_vocabulary_size(vocabulary_size)
    model = tokenizers.Tokenizer(models.BPE())
    model.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    model.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary_size,
        min_frequency=2,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        special_tokens=[END_OF_DOCUMENT],
        show_progress=False,
    )
    model.train_from_iterator(texts, trainer)
    special = {"eos_token": END_OF_DOCUMENT, "bos_token": END_OF_DOCUMENT, "pad_token": END_OF_DOCUMENT}
    folder.mkdir(parents=True, exist_ok=True)
    _write_json(
        folder / _CONFIG_FILE,
        {
            "tokenizer_class": "PreTrainedTokenizerFast",
            **special,
            "add_prefix_space": False,
            "clean_up_tokenization_spaces": False,
        },
    )
    _write_json(folder / "special_tokens_map.json", special)
    write_atomically(folder / _TOKENIZER_FILE, model.to_str(pretty=True))
    return load_tokenizer(folder)


def check_vocabulary_size(vocabulary_size: int) -> None:
    """Raise UserError when a byte-level vocabulary cannot be that small."""
    if vocabulary_size < SMALLEST_VOCABULARY:
        raise UserError(
            f"a vocabulary of {vocabulary_size} is too small: set it to {SMALLEST_VOCABULARY} or more "
            "(256 bytes and the end-of-document token)"
        )


def load_tokenizer(path: Path) -> Tokenizer:
    """Load a folder with a tokenizer.json, or such a file itself.

    The end-of-document token is the `eos_token` of tokenizer_config.json or special_tokens_map.json, else the
    `eos_token_id` of generation_config.json or config.json (the first, where there are several).

    Raises UserError when there is no readable tokenizer.json or no end-of-document token.
    """
    file = path / _TOKENIZER_FILE if path.is_dir() else path
    if not file.is_file():
        raise UserError(f"there is no tokenizer at {file}: give a folder with a {_TOKENIZER_FILE}, or that file")
    serialized = file.read_bytes()
    try:
        vocabulary = tokenizers.Tokenizer.from_buffer(serialized).get_vocab(with_added_tokens=True)
    except Exception as error:
        raise UserError(
            f"{file} is not a tokenizer that the tokenizers library can load ({error}): save it anew"
        ) from error
    return Tokenizer(serialized, _find_end_of_document(file, vocabulary), file.parent)


def _refuse_link(path: Path) -> None:
    """Raises UserError for a link to somewhere else, whose target nobody meant to give away.

    The Hub's cache consists of links to its own `blobs`, which are let pass.
    """
    place, target = path.parent.resolve(), path.resolve()
    if not target.is_relative_to(place) and target.parent != place.parent.parent / "blobs":
        raise UserError(f"{path} is a link to {target}, outside of the tokenizer's folder: put the file in its place")


def _find_end_of_document(file: Path, vocabulary: dict[str, int]) -> int:
    for name, entry in _entries(file.parent, _TOKEN_ENTRIES, "eos_token"):
        token = entry.get("content") if isinstance(entry, dict) else entry
        if token not in vocabulary:
            raise UserError(f"{name} names the eos_token {token!r}, which {file} does not have: correct it")
        return vocabulary[token]
    for name, entry in _entries(file.parent, _ID_ENTRIES, "eos_token_id"):
        token_id = entry[0] if isinstance(entry, list) else entry
        if token_id not in vocabulary.values():
            raise UserError(f"{name} names the eos_token_id {token_id!r}, which {file} does not have: correct it")
        return token_id
    raise UserError(
        f"{file} has no end-of-document token: name one of its tokens in {file.with_name(_CONFIG_FILE)}, "
        f'for example {{"eos_token": "{END_OF_DOCUMENT}"}}'
    )


def _entries(folder: Path, names: tuple[str, ...], key: str) -> Iterator[tuple[Path, Any]]:
    """The values of `key`, where it is present and set, in the JSON files `names` of `folder`."""
    for name in names:
        path = folder / name
        if path.is_file():
            value = _read_json(path).get(key)
            if value is not None and value != []:
                yield path, value


def _read_json(path: Path) -> dict:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UserError(f"{path} is not valid JSON ({error}): correct or remove it") from error
    if not isinstance(content, dict):
        raise UserError(f"{path} holds no JSON object: correct or remove it")
    return content


def _write_json(path: Path, content: dict) -> None:
    write_atomically(path, json.dumps(content, ensure_ascii=False, indent=2) + "\n")
