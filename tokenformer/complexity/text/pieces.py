"""Takes apart the pieces between white space, and remembers each."""

import re
import string
from array import array
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable
from itertools import count

import numpy as np

from tokenformer.complexity.text.words import PERIODS, sentence_end, word_matches

_SENTENCE_END = sentence_end(PERIODS)
_SENTENCE_OR_COLON_END = sentence_end(PERIODS + ":")

_END_MARK = re.compile(f"[{re.escape(PERIODS)}:]")
_MARKS_AROUND = "".join(mark for mark in string.punctuation if mark not in "'-")
"""ASCII marks that are no part of a word that they stand beside."""

Piece = str | tuple[str]
"""In brackets: of a text without any letter or digit; the piece is then a word."""


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
