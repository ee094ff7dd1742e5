"""Text as words and sentences.

Two rules hold everywhere, so that measures differ in their formulas and never in what they call a word:

* A *word* is a run of letters, digits and combining marks of any script; apostrophes and hyphens inside it belong to
  it ("don't", "mother-in-law", "1914"). In a text without a single letter or digit every piece between spaces is a
  word, so that a line of symbols or emoji is not mistaken for an empty, easy text.
* A *sentence* ends at a run of the measure's end marks, and at a blank line. The marks only count before a space, a
  dash or the end of the text, with closing quotes and brackets allowed between ("3.14" and "12:30" are whole).
  A single line break ends nothing, because texts are wrapped. There is no list of abbreviations: "Mr. Smith" is two.

All patterns take time linear in the text, whatever the text.
"""

import re
import unicodedata

_COMBINING_MARKS = "".join(
    character for character in map(chr, range(0x0300, 0x10000)) if unicodedata.category(character).startswith("M")
)
_WORD = re.compile(rf"[\w{_COMBINING_MARKS}]+(?:['\-][\w{_COMBINING_MARKS}]+)*")
_LETTER_OR_DIGIT = re.compile(r"\w")
_BLANK_LINE = re.compile(r"\n[^\S\n]*\n")
_CLOSING = "\"')\\]}”»›"

PERIODS = ".!?…"


def normalise(text: str) -> str:
    """The form of `text` that is measured: NFC, one kind of apostrophe and hyphen, no soft hyphens.

    Canonically equivalent texts (NFC, NFD, composed or decomposed letters) have one normalised form.
    """
    composed = unicodedata.normalize("NFC", text)
    return composed.replace("’", "'").replace("‐", "-").replace("‑", "-").replace("\u00ad", "")


def words(text: str) -> list[str]:
    """The words of a normalised text, in order; empty only where the text is empty or blank."""
    return _WORD.findall(text.replace("_", " ")) or text.split()


def letters(word: str) -> int:
    """Length of a word without its apostrophes and hyphens."""
    return len(word) - word.count("'") - word.count("-")


class SentenceSplitter:
    """Splits at blank lines and behind the given end marks; call it with a normalised text.

    Pieces without a letter or digit ("...", a lone quote) are no sentences; in a text of nothing else every paragraph
    is one.
    """

    def __init__(self, end_marks: str):
        marks = re.escape(end_marks)
        self._end = re.compile(rf"(?<![{marks}])[{marks}]++[{_CLOSING}]*+(?=[\s–—]|--|\Z)|{_BLANK_LINE.pattern}")

    def __call__(self, text: str) -> list[str]:
        pieces = [piece for piece in self._end.split(text) if _LETTER_OR_DIGIT.search(piece)]
        return pieces or [paragraph for paragraph in _BLANK_LINE.split(text) if paragraph.strip()]
