"""The options of `prepare_corpus`, and which documents it holds out; quick to import."""

import hashlib
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tokenformer.data.passages import WORDS
from tokenformer.data.reading import InputSource, Unit

KEY_RANGE = 2**64


@dataclass(frozen=True)
class PrepareOptions:
    """The options of a corpus to prepare."""

    inputs: Sequence[InputSource]
    """Files and folders to read: .txt, .train, .jsonl and .parquet, each also with .gz. PATH=WEIGHT gives a weight,
    NAME=PATH makes one source of all files of a folder."""
    output: Path
    """Folder for the prepared corpus."""
    unit: Unit = "passage"
    """One document of a plain text file is a passage, line, paragraph or the whole file."""
    passage_words: int = WORDS
    """A passage has about so many words."""
    text_field: str = "text"
    """Field of .jsonl and column of .parquet that holds the text."""
    language: str = "auto"
    """Language of the text: a code or a name, code or formal. "auto" finds it out for each source, and
    "auto,dyck=formal" gives that of the source dyck."""
    measure: str | None = None
    """Complexity measure, see docs/complexity.md. Without it: ensemble, or nesting_depth for code and formal.
    "surprisal,dyck=nesting_depth" gives that of the source dyck."""
    measure_parameters: Mapping[str, Any] = field(default_factory=dict)
    """Parameters of the measure, such as the model of `perplexity`."""
    tokenizer: Path | None = None
    """Folder of a Hugging Face tokenizer to use as it is. Without it a tokenizer is trained on the training split."""
    vocabulary_size: int = 4096
    """Tokens of the tokenizer that is trained."""
    validation_inputs: Sequence[InputSource] = ()
    """Files and folders of held-out text. Without them a share of the distinct texts of the inputs is held out."""
    validation_share: float = 0.02
    """Share of the texts that is held out, where no held-out text is given."""
    seed: int = 0
    """Decides, with the text, which documents are held out."""
    overwrite: bool = False
    """Replace a prepared corpus that stands at the output."""
    processes: int | None = None
    """Processes that score complexity. Without it: one for each processor, and one where a trained model scores."""
    command: str | None = None
    """The command line, for the report."""


def text_key(text: str, seed: int) -> int:
    """An evenly spread number below KEY_RANGE, equal for texts that differ only in case, whitespace or NFC/NFD."""
    plain = " ".join(unicodedata.normalize("NFC", text).casefold().split())
    digest = hashlib.blake2b(f"{seed}\n{plain}".encode(), digest_size=8)
    return int.from_bytes(digest.digest(), "big")


def is_held_out(key: int, share: float) -> bool:
    """Tells whether the document with this key is held out, where `share` (0 to 1) of the distinct texts is."""
    return key < share * KEY_RANGE
