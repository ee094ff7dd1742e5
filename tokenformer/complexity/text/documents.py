"""Many texts taken apart into words and sentences at once, for all measures together.

What counts as a word and as a sentence is said in `tokenformer.complexity.text.words`; here the same is found faster. A
text is split at white space, and each *different* piece is taken apart once (`PieceTable`).
"""

import re
import string
from array import array
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain, count
from threading import Lock

import numpy as np

from tokenformer.batches import batches
from tokenformer.complexity.text.words import (
    PERIODS,
    has_words,
    letters,
    normalise,
    paragraphs,
    sentence_end,
    word_matches,
)

BATCH_CHARACTERS = 2_000_000
MOST_PIECES, MOST_CHARACTERS = 500_000, 8_000_000
"""The most entries that are remembered of earlier texts."""

_SENTENCE_END = sentence_end(PERIODS)
_SENTENCE_OR_COLON_END = sentence_end(PERIODS + ":")

_END_MARK = re.compile(f"[{re.escape(PERIODS)}:]")
_MARKS_AROUND = "".join(mark for mark in string.punctuation if mark not in "'-")
"""ASCII marks that are no part of a word that they stand beside."""

Piece = str | tuple[str]
"""A part of a text; in a tuple when the text has no letter or digit, and the part counts as a word."""


@dataclass(frozen=True, eq=False)
class Documents:
    """n texts with their t words.

    Attributes:
        texts: normalised.
        vocabulary: the v different words, in lower case.
        word: int64[t], number in the vocabulary.
        document: int64[t], index of the text, ascending.
        sentence: int64[t], number of the sentence, ascending; sentences end at `PERIODS` and blank lines.
        colon_sentence: int64[t], the same where sentences end at colons as well.
    """

    texts: list[str]
    vocabulary: list[str]
    word: np.ndarray
    document: np.ndarray
    sentence: np.ndarray
    colon_sentence: np.ndarray
    _shared: dict[Hashable, np.ndarray] = field(default_factory=dict, init=False, repr=False)

    def __len__(self) -> int:
        return len(self.texts)

    @cached_property
    def word_counts(self) -> np.ndarray:
        """int64[n], words of each text."""
        return np.bincount(self.document, minlength=len(self))

    @cached_property
    def place(self) -> np.ndarray:
        """int64[t], place of each word in its text, from 0."""
        return np.arange(self.word.size) - (np.cumsum(self.word_counts) - self.word_counts)[self.document]

    @cached_property
    def letter_counts(self) -> np.ndarray:
        """int64[v], letters and digits of each word of the vocabulary: apostrophes and hyphens do not count."""
        return self.of_vocabulary(letters)

    def of_vocabulary(self, function: Callable[[str], float], kind: type = np.int64) -> np.ndarray:
        """kind[v]: a function of each word of the vocabulary."""
        return np.fromiter(map(function, self.vocabulary), kind, count=len(self.vocabulary))

    def shared(self, key: Hashable, compute: Callable[[], np.ndarray]) -> np.ndarray:
        """A result that several measures share, computed for the first one that asks for `key`."""
        if key not in self._shared:
            self._shared[key] = compute()
        return self._shared[key]

    def sums(self, values: np.ndarray) -> np.ndarray:
        """float64[n]: sum of `values` [t] over the words of each text."""
        return np.bincount(self.document, values, len(self))

    def means(self, values: np.ndarray) -> np.ndarray:
        """float64[n]: mean of `values` [t] over the words of each text; 0 for a text without words."""
        return self.sums(values) / np.maximum(self.word_counts, 1)

    def sentence_counts(self, sentence: np.ndarray) -> np.ndarray:
        """int64[n]: sentences of each text, at least 1; `sentence` is one of the two arrays of that name."""
        return np.maximum(np.bincount(self.document[_starts(sentence)], minlength=len(self)), 1)


def _starts(number: np.ndarray) -> np.ndarray:
    """Where runs of equal numbers start, int64."""
    return np.flatnonzero(np.diff(number, prepend=-1))


def text_batches(texts: Iterable[str]) -> Iterator[list[str]]:
    """`texts` in lists of BATCH_CHARACTERS characters at most, so that memory does not grow with the corpus."""
    return batches(texts, BATCH_CHARACTERS)


def analysed(texts: Sequence[str]) -> Documents:
    """Takes `texts` apart; they need not be normalised."""
    texts = [normalise(text) for text in texts]
    piece, paragraph_of_piece, document_of_paragraph, different = _pieces(texts)
    with _remembered.table() as table:
        row = table.rows(different)[piece]
        columns, known_words = table.columns(), table.vocabulary()

    repeats = columns["word_count"][row]
    within = np.arange(repeats.sum()) - np.repeat(np.cumsum(repeats) - repeats, repeats)
    position = np.repeat(columns["first_word"][row], repeats) + within
    paragraph = np.repeat(paragraph_of_piece, repeats)

    def sentences(ends: str) -> np.ndarray:
        inside = columns[ends][row]
        earlier = np.cumsum(inside) - inside
        # A paragraph ends a sentence too; what matters is only whether two words differ in this number.
        number = np.repeat(earlier, repeats) + columns[f"{ends}_before"][position] + paragraph
        return np.cumsum(np.diff(number, prepend=number[:1]) > 0)

    known = columns["word"][position]
    is_used = np.zeros(len(known_words), bool)
    is_used[known] = True
    return Documents(
        texts=texts,
        vocabulary=[known_words[number] for number in np.flatnonzero(is_used).tolist()],
        word=(np.cumsum(is_used) - 1)[known],
        document=document_of_paragraph[paragraph],
        sentence=sentences("ends"),
        colon_sentence=sentences("colon_ends"),
    )


class PieceTable:
    """Pieces with their words and sentence ends, as columns that grow.

    A piece settles which words it holds and where in it sentences end, because both rules look no further than the
    next white space. Row r has the words `first_word[r]` to `first_word[r] + word_count[r]` of the word columns.
    """

    def __init__(self):
        self.characters = 0
        self._rows: dict[Piece, int] = {}
        self._numbers: defaultdict[str, int] = defaultdict(count().__next__)
        # Columns by piece; sentence ends in all of the piece, at periods, and at periods and colons.
        self._first_word, self._word_count = array("q"), array("q")
        self._ends, self._colon_ends = array("q"), array("q")
        # Columns by word of a piece: number of the word, and sentence ends of the piece before it.
        self._word, self._ends_before, self._colon_ends_before = array("q"), array("q"), array("q")

    def __len__(self) -> int:
        return len(self._rows)

    def rows(self, pieces: Iterable[Piece]) -> np.ndarray:
        """int64: the row of each piece; those that are new get one."""
        known = self._rows
        return np.array([known[piece] if piece in known else self._add(piece) for piece in pieces], dtype=np.int64)

    def columns(self) -> dict[str, np.ndarray]:
        """Copies of the columns, int64."""
        names = ("first_word", "word_count", "ends", "colon_ends", "word", "ends_before", "colon_ends_before")
        return {name: np.array(getattr(self, f"_{name}"), dtype=np.int64) for name in names}

    def vocabulary(self) -> list[str]:
        """The words by number."""
        return list(self._numbers)

    def _add(self, piece: Piece) -> int:
        row = self._rows[piece] = len(self._rows)
        self.characters += len(piece) if isinstance(piece, str) else len(piece[0])
        found, starts = _words(piece)
        self._first_word.append(len(self._word))
        self._word_count.append(len(found))
        self._word.extend(map(self._numbers.__getitem__, found))
        ends, colon_ends = _ends(piece)
        self._ends_before.extend(_before(ends, starts))
        self._ends.append(len(ends))
        self._colon_ends_before.extend(_before(colon_ends, starts))
        self._colon_ends.append(len(colon_ends))
        return row


def _words(piece: Piece) -> tuple[list[str], list[int]]:
    """The words of a piece and where they start."""
    if isinstance(piece, tuple):
        return [*piece], [0]
    # Most pieces are one word with marks around it, which is found much faster than by the rule for all of them.
    core = piece.strip(_MARKS_AROUND)
    if core.isalnum() and piece.isascii():
        return [core], [piece.index(core)]
    matches = list(word_matches(piece))
    return [match.group() for match in matches], [match.start() for match in matches]


def _ends(piece: Piece) -> tuple[list[int], list[int]]:
    """Where sentences end in a piece, at periods, and at periods and colons."""
    if isinstance(piece, tuple) or _END_MARK.search(piece) is None:
        return [], []
    ends, colon_ends = (
        [match.end() for match in pattern.finditer(piece)] for pattern in (_SENTENCE_END, _SENTENCE_OR_COLON_END)
    )
    return ends, colon_ends


def _before(places: list[int], starts: list[int]) -> list[int]:
    """How many of `places` are at or before each start."""
    return [bisect_right(places, start) for start in starts] if places else [0] * len(starts)


class _Remembered:
    """The table of pieces of this process: lent to one thread at a time, and begun anew when it is full."""

    def __init__(self):
        self._lock = Lock()
        self._table = PieceTable()

    @contextmanager
    def table(self) -> Iterator[PieceTable]:
        with self._lock:
            if len(self._table) > MOST_PIECES or self._table.characters > MOST_CHARACTERS:
                self._table = PieceTable()
            yield self._table


_remembered = _Remembered()


def _pieces(texts: list[str]) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[Piece]]:
    """Number of each piece, its paragraph, the text of each paragraph, and the different pieces by number."""
    parts = [paragraphs(text.lower()) for text in texts]
    document = np.repeat(np.arange(len(texts)), _integers(map(len, parts)))
    piece, sizes, different = _split(list(chain.from_iterable(parts)))
    paragraph = np.repeat(np.arange(len(sizes)), sizes)
    without_words = np.fromiter((not has_words(text) for text in texts), bool, count=len(texts))
    if without_words.any():
        _mark_symbols(piece, without_words[document[paragraph]], different)
    return piece, paragraph, document, different


def _split(texts: list[str]) -> tuple[np.ndarray, np.ndarray, list[Piece]]:
    """Number of each piece between white space, pieces of each text, the different pieces by number.

    White space at the ends of a text leaves an empty piece.
    """
    import pyarrow
    from pyarrow import compute

    pieces = compute.utf8_split_whitespace(pyarrow.array(texts, pyarrow.large_string()))
    numbered = pieces.flatten().dictionary_encode()
    sizes = compute.list_value_length(pieces)
    return numbered.indices.to_numpy().astype(np.int64), sizes.to_numpy(), numbered.dictionary.to_pylist()


def _mark_symbols(piece: np.ndarray, is_symbol: np.ndarray, different: list[Piece]) -> None:
    """Gives the pieces of texts without words numbers of their own, in place."""
    for number in np.unique(piece[is_symbol]).tolist():
        if different[number]:
            piece[is_symbol & (piece == number)] = len(different)
            different.append((different[number],))


def _integers(values: Iterable[int]) -> np.ndarray:
    return np.fromiter(values, np.int64)
