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
from collections.abc import Iterator

_COMBINING_MARKS = "".join(
    character for character in map(chr, range(0x0300, 0x10000)) if unicodedata.category(character).startswith("M")
)
_WORD = re.compile(rf"[\w{_COMBINING_MARKS}]+(?:['\-][\w{_COMBINING_MARKS}]+)*")
_WORD_CHARACTER = re.compile(rf"[^\W_]|[{_COMBINING_MARKS}]")
_BLANK_LINE = re.compile(r"\n[^\S\n]*\n")
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")
_CLOSING = "\"')\\]}”»›"

PERIODS = ".!?…"


def normalise(text: str) -> str:
    """The form of `text` that is measured: NFC, one kind of apostrophe and hyphen, no soft hyphens, valid UTF-8.

    Canonically equivalent texts (NFC, NFD, composed or decomposed letters) have one normalised form.
    """
    if text.isascii():
        return text
    composed = unicodedata.normalize("NFC", text)
    plain = composed.replace("’", "'").replace("‐", "-").replace("‑", "-").replace("\u00ad", "")
    return _LONE_SURROGATE.sub("\ufffd", plain)


def has_words(text: str) -> bool:
    """Tells whether there is a letter, a digit or a combining mark in it."""
    return _WORD_CHARACTER.search(text) is not None


def word_matches(text: str) -> Iterator[re.Match]:
    """The words of a normalised text that are made of letters and digits, with their places."""
    return _WORD.finditer(text.replace("_", " "))


def letters(word: str) -> int:
    """Length of a word without its apostrophes and hyphens."""
    return len(word) - word.count("'") - word.count("-")


def paragraphs(text: str) -> list[str]:
    """The paragraphs, which blank lines separate."""
    return _BLANK_LINE.split(text) if "\n" in text else [text]


def sentence_end(end_marks: str) -> re.Pattern:
    """Matches where a sentence ends inside a paragraph."""
    marks = re.escape(end_marks)
    return re.compile(rf"(?<![{marks}])[{marks}]++[{_CLOSING}]*+(?=[\s–—]|--|\Z)")
