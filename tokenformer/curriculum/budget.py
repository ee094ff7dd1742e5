"""Budgets in words, as BabyLM counts them: words between whitespace, repeats counted, epochs bounded."""

import re
from typing import Any

import numpy as np

from tokenformer.curriculum.copies import Copies, DocumentTable
from tokenformer.errors import UserError

_SIZES = {"": 1, "k": 10**3, "M": 10**6, "B": 10**9}
_LADDER_STEPS = ((10**6, 10**7), (10**7, 10**8))
_LAST_LADDER_STEP = 10**8


def number_of_words(value: Any, owner: str) -> int:
    """A number of words from a number, or from text such as 250k, 10M or 1.5B.

    Raises UserError, naming `owner`, for anything else and for a number that is not positive and whole.
    """
    words = None
    if isinstance(value, int | float) and not isinstance(value, bool):
        words = value
    elif isinstance(value, str) and (match := re.fullmatch(r"(\d+(?:\.\d+)?)([kMB]?)", value.replace("_", ""))):
        words = round(float(match[1]) * _SIZES[match[2]], 6)
    if words is None or words != words or words < 1 or words in (float("inf"),) or words != int(words):
        raise UserError(f"{owner} must be a number of words, such as 10_000_000 or 10M, not {value!r}")
    return int(words)


def check_word_budget(documents: DocumentTable, weight: np.ndarray, words: int, maximum_epochs: int | None) -> None:
    """The words are there, in so many epochs.

    Raises UserError with the most that there can be.
    """
    unique = int(documents.words[weight > 0].sum())
    if maximum_epochs is not None and words > maximum_epochs * unique:
        raise UserError(
            f"budget: {words:,} words are more than max_epochs {maximum_epochs} times the {unique:,} unique words that "
            f"are selected; ask for at most {maximum_epochs * unique:,} words, allow more epochs, or add text"
        )


def check_epochs(copies: Copies, maximum_epochs: int | None) -> None:
    """No document is read more often than that.

    Raises UserError naming the source that is.
    """
    if maximum_epochs is None or not copies.size:
        return
    times = np.bincount(copies.document)
    worst = int(times.argmax())
    if times[worst] > maximum_epochs:
        source = copies.source_names[int(copies.source[np.flatnonzero(copies.document == worst)[0]])]
        raise UserError(
            f"budget: documents of the source {source} would be read up to {times[worst]} times, and max_epochs is "
            f"{maximum_epochs}; read fewer words, give the source a smaller weight or share, or add text"
        )


def ladder_rungs(words: float) -> list[int]:
    """The rungs of the BabyLM ladder up to so many words: every 1M to 10M, every 10M to 100M, then every 100M."""
    rungs = [rung for size, end in _LADDER_STEPS for rung in range(size, end, size)]
    rungs += range(_LAST_LADDER_STEP, int(words) + 1, _LAST_LADDER_STEP)
    return [rung for rung in rungs if rung <= words]


def ladder_steps(words: np.ndarray) -> dict[int, int]:
    """The steps after which a run reaches rungs of the ladder, each with the highest rung that it reaches.

    A rung that the last step misses by less than a step's words is the last step's: a budget in words is filled by
    whole steps, and so never quite reached.

    Args:
        words: float64[steps + 1], words read after each number of steps, not falling.
    """
    last = words.size - 1
    if last < 1:
        return {}
    steps = {}
    for rung in ladder_rungs(float(words[last]) + float(words[last]) / last):
        steps[min(int(np.searchsorted(words, rung, side="left")), last)] = rung
    return steps
