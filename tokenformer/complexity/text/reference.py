"""Simple text of a language, as counts of words and word pairs: the reference that comes with the package.

The files are in `reference_data/`, which says what they were counted in and under which licences;
`python -m scripts.rebuild_reference FOLDER` makes them anew.
"""

import hashlib
import io
import json
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from pathlib import Path

import numpy as np

from tokenformer.complexity.text.bigram import BigramModel, numbered_words
from tokenformer.complexity.text.documents import Documents, analysed, text_batches
from tokenformer.errors import UserError

REFERENCE_FOLDER = Path(__file__).parents[1] / "reference_data"
FORMAT_VERSION = 2

SENTENCE_WORDS = 5
"""Shorter sentences are in many texts, and tell nothing about where a text is from."""

MOST_TEXTS = 1000
"""The sample that tells how much of a corpus is part of the reference."""

KNOWN_SHARE = 0.5
"""Share of a text's words from which on the text is taken for a part of the reference."""


@dataclass(frozen=True)
class Reference:
    """A bigram model of simple text, with its origin.

    Attributes:
        model: of the simple text.
        language: code.
        facts: "version" of the counts, "sources" and "licence", in words, and "words" counted.
        sentences: uint32[s], ascending; a hash of each sentence that was counted (`sentence_hashes`).
    """

    model: BigramModel
    language: str
    facts: dict
    sentences: np.ndarray

    @classmethod
    def count(cls, texts: Sequence[str], language: str, facts: dict) -> "Reference":
        """Counts the words and pairs of `texts`; words are numbered in alphabetical order."""
        vocabulary, stream = numbered_words(texts)
        order = sorted(vocabulary)
        number = np.empty(len(order), np.int64)
        number[[vocabulary[word] for word in order]] = np.arange(len(order))
        stream = type(stream)(number[stream.word], stream.length, stream.document)
        model = BigramModel.fit({word: index for index, word in enumerate(order)}, stream)
        hashes = [sentence_hashes(analysed(batch))[0] for batch in text_batches(texts)]
        sentences = np.unique(np.concatenate([np.empty(0, np.uint32), *hashes]))
        return cls(model, language, facts | {"words": int(stream.word.size)}, sentences)

    def overlap(self, documents: Documents) -> np.ndarray:
        """float64[n]: share of the words of each text that stand in sentences that were counted.

        Only sentences of SENTENCE_WORDS words or more are looked at; 0 for a text without any.
        """
        hashes, document, words = sentence_hashes(documents)
        place = np.minimum(np.searchsorted(self.sentences, hashes), max(self.sentences.size - 1, 0))
        is_known = self.sentences[place] == hashes if self.sentences.size else np.zeros(hashes.size, bool)
        known, every = (np.bincount(document, weight, len(documents)) for weight in (words * is_known, words))
        return known / np.maximum(every, 1)

    def to_bytes(self) -> bytes:
        """The file: the same counts give the same bytes."""
        header = {"format": "tokenformer reference", "format_version": FORMAT_VERSION, "language": self.language}
        parts = {
            "facts.json": json.dumps(header | self.facts, ensure_ascii=False, indent=2).encode("utf-8"),
            "words.txt": "\n".join(self.model.vocabulary).encode("utf-8"),
            "word_counts.u32": self.model.word_counts.astype("<u4").tobytes(),
            "pair_keys.u32": np.diff(self.model.pair_keys, prepend=0).astype("<u4").tobytes(),
            "pair_counts.u32": self.model.pair_counts.astype("<u4").tobytes(),
            "sentences.u32": self.sentences.astype("<u4").tobytes(),
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
                if facts.pop("format_version") != FORMAT_VERSION:
                    raise UserError(
                        f"{path} is a reference of another format version than {FORMAT_VERSION}: count it again"
                    )
                word_counts, steps, pair_counts, sentences = (
                    np.frombuffer(archive.read(f"{name}.u32"), "<u4").astype(np.int64)
                    for name in ("word_counts", "pair_keys", "pair_counts", "sentences")
                )
        except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
            raise UserError(f"{path} is not a reference of simple text ({error})") from error
        del facts["format"]
        vocabulary = {word: number for number, word in enumerate(words)}
        model = BigramModel.from_counts(vocabulary, word_counts, np.cumsum(steps), pair_counts)
        return cls(model, facts.pop("language"), facts, sentences.astype(np.uint32))


def reference_overlap(texts: Iterable[str], language: str) -> float:
    """Share of the words of the first MOST_TEXTS texts that stand in sentences of the package's simple text."""
    if not has_reference(language):
        return 0.0
    documents = analysed(list(islice(texts, MOST_TEXTS)))
    shares = built_in_reference(language).overlap(documents)
    return float(documents.word_counts @ shares / max(documents.word_counts.sum(), 1))


def sentence_hashes(documents: Documents) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Hash uint32[s], text int64[s] and words int64[s] of each sentence of SENTENCE_WORDS words or more.

    The hash is a polynomial of the hashes of the words, in lower case, in the order of the sentence; so it does not
    depend on what stands around the sentence, nor on line breaks and marks.
    """
    word_hash = documents.of_vocabulary(_word_hash, np.uint64)[documents.word]
    starts = np.flatnonzero(np.diff(documents.sentence, prepend=-1))
    sizes = np.diff(starts, append=documents.word.size)
    place = np.arange(documents.word.size) - np.repeat(starts, sizes)
    powers = np.multiply.accumulate(np.full(int(sizes.max(initial=0)) + 1, _PRIME, np.uint64))
    values = np.add.reduceat(word_hash * powers[place], starts) if starts.size else np.empty(0, np.uint64)
    is_long = sizes >= SENTENCE_WORDS
    return (values >> np.uint64(32)).astype(np.uint32)[is_long], documents.document[starts][is_long], sizes[is_long]


_PRIME = 0x9E3779B97F4A7C15
"""Odd, so that no power of it is 0 modulo 2**64."""


def _word_hash(word: str) -> int:
    return int.from_bytes(hashlib.blake2b(word.encode("utf-8"), digest_size=8).digest(), "little")


def reference_file(language: str) -> Path:
    return REFERENCE_FOLDER / f"{language}.zip"


def has_reference(language: str) -> bool:
    """Tells whether the package brings simple text of that language."""
    return language.isalpha() and reference_file(language).is_file()


@lru_cache(maxsize=8)
def built_in_reference(language: str) -> Reference:
    return Reference.open(reference_file(language))
