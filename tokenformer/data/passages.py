"""Passages: neighbouring lines and paragraphs of a file, joined to about as many words as a document should have.

A passage ends where the text has its best border within reach: a blank line, or else the end of a line, of a sentence,
or of a word. Nothing but the white space at these borders is left out.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

WORDS = 200
"""How long a passage is when nobody says otherwise: a page of a children's book, some 280 tokens."""

WORD, SENTENCE, LINE, BLANK_LINE = range(4)
"""Borders, the better ones higher."""

# As shares of the length that is asked for: where a passage may end, and what is too short to be cut once more.
SHORTEST, LONGEST, WHOLE = 0.75, 1.25, 1.5

_SENTENCE_END = re.compile(r"(?<=[.!?…])[\"'”’»)\]]*\s+")
_WHITE_SPACE = re.compile(r"\s+")


@dataclass(slots=True)
class _Piece:
    """A piece of text, the white space that follows it in the file, and how good a border stands there."""

    text: str
    words: int
    after: str
    border: int


def passages(lines: Iterable[str], words: int = WORDS) -> Iterator[str]:
    """The passages of a text, given its lines without their ends.

    A passage has from three quarters to one and a half times `words` words, and fewer only where the text ends or a
    word of it is that long. Blank lines within a passage stay as they are.
    """
    waiting: list[_Piece] = []
    total = 0
    for piece in _pieces(lines, words):
        waiting.append(piece)
        total += piece.words
        while total >= WHOLE * words and len(waiting) > 1:
            size = _best_size(waiting, words)
            cut, waiting = waiting[:size], waiting[size:]
            total -= sum(piece.words for piece in cut)
            yield _joined(cut)
    if waiting:
        yield _joined(waiting)


def _pieces(lines: Iterable[str], words: int) -> Iterator[_Piece]:
    """Lines, and parts of those that are too long to find a good end of a passage."""
    last: _Piece | None = None
    for line in lines:
        if not line or line.isspace():
            if last is not None:
                last.after += line + "\n"
                last.border = BLANK_LINE
            continue
        if last is not None:
            yield last
        *first, last = _parts(line, words)
        yield from first
    if last is not None:
        yield last


def _parts(line: str, words: int) -> list[_Piece]:
    """The sentences of a long line, and the words of a long sentence; a short line as it is."""
    longest = (LONGEST - SHORTEST) * words / 2
    parts = _split(line, _SENTENCE_END, SENTENCE) if len(line.split()) > longest else [_piece(line, "", LINE)]
    pieces = []
    for part in parts:
        if part.words > longest:
            *inner, end = _split(part.text, _WHITE_SPACE, WORD)
            pieces += [*inner, _piece(end.text, part.after, part.border)]
        else:
            pieces.append(part)
    pieces[-1].after, pieces[-1].border = pieces[-1].after + "\n", LINE
    return pieces


def _split(text: str, border: re.Pattern[str], kind: int) -> list[_Piece]:
    """`text` cut at the white space that ends each match of `border`."""
    pieces, start = [], 0
    for match in border.finditer(text):
        end = start + len(text[start : match.end()].rstrip())
        if end > start and match.end() < len(text):
            pieces.append(_piece(text[start:end], text[end : match.end()], kind))
            start = match.end()
    return [*pieces, _piece(text[start:], "", kind)]


def _piece(text: str, after: str, border: int) -> _Piece:
    return _Piece(text, len(text.split()), after, border)


def _best_size(pieces: list[_Piece], words: int) -> int:
    """How many pieces the next passage has: to the best border within reach, of equals to the nearest."""
    best, size, length = (False, -1, 0.0), 1, 0
    for number, piece in enumerate(pieces[:-1], start=1):
        length += piece.words
        within = SHORTEST * words <= length <= LONGEST * words
        found = (within, piece.border if within else -1, -abs(length - words))
        if found > best or number == 1:
            best, size = found, number
    return size


def _joined(pieces: list[_Piece]) -> str:
    return "".join(piece.text + piece.after for piece in pieces[:-1]) + pieces[-1].text
