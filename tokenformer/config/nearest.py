"""The valid word that was probably meant, or none: a wrong guess misleads more than no guess."""

import difflib
import os.path
from collections.abc import Iterable

LEAST_LIKENESS = 0.7
"""Twice the letters that two words share in order, by all their letters, from which one is a misspelling of the other.

Words that differ by a single letter always are.
"""


def nearest_word(word: str, choices: Iterable[str]) -> str | None:
    """The choice that is spelled most like `word`; among equals the one with the longest common beginning."""

    def likeness(choice: str) -> tuple[bool, float, int]:
        ratio = difflib.SequenceMatcher(None, word.lower(), choice.lower()).ratio()
        return _one_slip(word, choice), ratio, len(os.path.commonprefix([word, choice]))

    best = max(choices, key=likeness, default=None)
    is_near = best is not None and (_one_slip(word, best) or likeness(best)[1] >= LEAST_LIKENESS)
    return best if is_near else None


def _one_slip(word: str, choice: str) -> bool:
    """Tells whether a letter too many, too few, wrong, or swapped with its neighbour makes the one of the other."""
    start = len(os.path.commonprefix([word, choice]))
    first, second = word[start:], choice[start:]
    return (
        second in (first[1:], first[1:2] + first[:1] + first[2:])
        or first[1:] in (second, second[1:])
        or first == second[1:]
    )
