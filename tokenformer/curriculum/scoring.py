"""Scoring documents with a measure chosen by name."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from tokenformer.curriculum.measure import Measure
from tokenformer.curriculum.readability import FLESCH_KINCAID, LIX
from tokenformer.curriculum.surprisal import SURPRISAL
from tokenformer.errors import UserError

MEASURES: dict[str, Measure] = {
    "lix": LIX,
    "flesch_kincaid": FLESCH_KINCAID,
    "surprisal": SURPRISAL,
}

DEFAULT_MEASURE = "surprisal"


def score(texts: Sequence[str], language: str = "en", measure: str | None = None, **parameters: Any) -> np.ndarray:
    """Complexity float64[n] of n texts, in the unit of the measure; harder is higher.

    measure: a key of `MEASURES`; None is `surprisal`. A measure that has to be fitted is fitted on these very texts:
    its scores compare them with one another, want a good number of texts, and change when texts are added.
    `score(texts, reference_texts=simple_texts)` fits `surprisal` on text that you know to be simple instead.

    Raises UserError for an unknown measure or parameter, and where the measure does not hold for the language.
    """
    return find_measure(DEFAULT_MEASURE if measure is None else measure).fit(texts, language, **parameters)(texts)


def score_documents(
    train_texts: Sequence[str], validation_texts: Sequence[str], language: str, measure: str, **parameters: Any
) -> tuple[np.ndarray, np.ndarray]:
    """Scores float64[n] and float64[m] of training and validation texts by a measure fitted on the former alone."""
    scorer = find_measure(measure).fit(train_texts, language, **parameters)
    return scorer(train_texts), scorer(validation_texts)


def find_measure(name: str) -> Measure:
    """The measure of that name; raises UserError where there is none."""
    if name not in MEASURES:
        raise UserError(f"there is no measure '{name}'; choose one of: {', '.join(MEASURES)}")
    return MEASURES[name]
