"""Simple text of a language, as counts of words and word pairs: the reference that comes with the package.

The files are in `reference_data/`, which says what they were counted in and under which licences;
`python -m tokenformer.curriculum.rebuild FOLDER` makes them anew.
"""

import io
import json
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from tokenformer.complexity.text.bigram import BigramModel, numbered_words
from tokenformer.errors import UserError

REFERENCE_FOLDER = Path(__file__).parents[1] / "reference_data"
FORMAT_VERSION = 1


@dataclass(frozen=True)
class Reference:
    """A bigram model of simple text, with its origin.

    Attributes:
        model: of the simple text.
        language: code.
        facts: "version" of the counts, "sources" and "licence", in words, and "words" counted.
    """

    model: BigramModel
    language: str
    facts: dict

    @classmethod
    def count(cls, texts: Sequence[str], language: str, facts: dict) -> "Reference":
        """Counts the words and pairs of `texts`; words are numbered in alphabetical order."""
        vocabulary, stream = numbered_words(texts)
        order = sorted(vocabulary)
        number = np.empty(len(order), np.int64)
        number[[vocabulary[word] for word in order]] = np.arange(len(order))
        stream = type(stream)(number[stream.word], stream.length, stream.document)
        model = BigramModel.fit({word: index for index, word in enumerate(order)}, stream)
        return cls(model, language, facts | {"words": int(stream.word.size)})

    def to_bytes(self) -> bytes:
        """The file: the same counts give the same bytes."""
        header = {"format": "tokenformer reference", "format_version": FORMAT_VERSION, "language": self.language}
        parts = {
            "facts.json": json.dumps(header | self.facts, ensure_ascii=False, indent=2).encode("utf-8"),
            "words.txt": "\n".join(self.model.vocabulary).encode("utf-8"),
            "word_counts.u32": self.model.word_counts.astype("<u4").tobytes(),
            "pair_keys.u32": np.diff(self.model.pair_keys, prepend=0).astype("<u4").tobytes(),
            "pair_counts.u32": self.model.pair_counts.astype("<u4").tobytes(),
        }
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w") as archive:
            for name, content in parts.items():
                # A fixed date, or the bytes would change from day to day.
                entry = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
                archive.writestr(entry, content, zipfile.ZIP_DEFLATED, compresslevel=9)
        return file.getvalue()

    @classmethod
    def open(cls, path: Path) -> "Reference":
        """Raises UserError for a file that is no reference, or one of another format version."""
        try:
            with zipfile.ZipFile(path) as archive:
                facts = json.loads(archive.read("facts.json"))
                words = archive.read("words.txt").decode("utf-8").split("\n")
                word_counts, steps, pair_counts = (
                    np.frombuffer(archive.read(f"{name}.u32"), "<u4").astype(np.int64)
                    for name in ("word_counts", "pair_keys", "pair_counts")
                )
        except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
            raise UserError(f"{path} is not a reference of simple text ({error})") from error
        if facts.pop("format_version") != FORMAT_VERSION:
            raise UserError(f"{path} is a reference of another format version than {FORMAT_VERSION}: count it again")
        del facts["format"]
        vocabulary = {word: number for number, word in enumerate(words)}
        model = BigramModel.from_counts(vocabulary, word_counts, np.cumsum(steps), pair_counts)
        return cls(model, facts.pop("language"), facts)


def reference_file(language: str) -> Path:
    return REFERENCE_FOLDER / f"{language}.zip"


def has_reference(language: str) -> bool:
    """Tells whether the package brings simple text of that language."""
    return language.isalpha() and reference_file(language).is_file()


@lru_cache(maxsize=8)
def built_in_reference(language: str) -> Reference:
    return Reference.open(reference_file(language))
