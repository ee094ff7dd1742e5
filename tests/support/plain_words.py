"""The definition of words and sentences written out for one text, with which the fast way is compared."""

from tokenformer.complexity.text.words import has_words, paragraphs, sentence_end, word_matches


def words(text: str) -> list[str]:
    """The words of a normalised text, in order; empty only where the text is empty or blank."""
    return [match.group() for match in word_matches(text)] or text.split()


class SentenceSplitter:
    """Splits at blank lines and behind the given end marks; call it with a normalised text.

    Pieces without a letter or digit ("...", a lone quote) are no sentences; in a text of nothing else every paragraph
    is one.
    """

    def __init__(self, end_marks: str):
        self._end = sentence_end(end_marks)

    def __call__(self, text: str) -> list[str]:
        pieces = [piece for part in paragraphs(text) for piece in self._end.split(part) if has_words(piece)]
        return pieces or [part for part in paragraphs(text) if part.strip()]
