"""Readability formulas.

All of them are ratios of counts, so doubling a text changes none (rounding aside). Of a blank text they say what they
say of one word of one letter.
"""

from collections.abc import Callable

import numpy as np

from tokenformer.complexity.measure import formula_measure
from tokenformer.complexity.text.documents import Documents
from tokenformer.complexity.text.syllables import english_syllables, swedish_syllables

_LONG_WORD = 6


def lix(documents: Documents) -> np.ndarray:
    """LIX float64[n]: words per sentence + percentage of words with more than six letters.

    Björnsson 1968, "Läsbarhet". A sentence ends at a full stop, a colon, an exclamation or question mark.
    """
    sentences = documents.sentence_counts(documents.colon_sentence)
    return _words(documents) / sentences + 100 * long_word_share(documents)


def long_word_share(documents: Documents) -> np.ndarray:
    """float64[n]: share of the words with more than six letters."""
    return documents.means((documents.letter_counts > _LONG_WORD)[documents.word])


def flesch_kincaid(documents: Documents) -> np.ndarray:
    """Grade float64[n]: 0.39 words per sentence + 11.8 syllables per word - 15.59, for English.

    Kincaid, Fishburne, Rogers & Chissom 1975, "Derivation of new readability formulas", page 14. A sentence ends at a
    full stop, an exclamation or question mark.
    """
    return _kincaid(documents, english_syllables)


def flesch_kincaid_swedish(documents: Documents) -> np.ndarray:
    """The weights of Flesch-Kincaid on Swedish syllables, float64[n]: they order texts, and are no school grades."""
    return _kincaid(documents, swedish_syllables)


def _kincaid(documents: Documents, syllables: Callable[[str], int]) -> np.ndarray:
    spoken = documents.sums(documents.of_vocabulary(syllables)[documents.word])
    sentences = documents.sentence_counts(documents.sentence)
    return 0.39 * _words(documents) / sentences + 11.8 * np.maximum(spoken, 1) / _words(documents) - 15.59


def coleman_liau(documents: Documents) -> np.ndarray:
    """Grade float64[n]: 0.0588 letters per 100 words - 0.296 sentences per 100 words - 15.8, for English.

    Coleman & Liau 1975, "A computer readability formula designed for machine scoring", J. Applied Psychology 60(2).
    """
    words = _words(documents)
    letters = np.maximum(documents.sums(documents.letter_counts[documents.word]), words)
    return (5.88 * letters - 29.6 * documents.sentence_counts(documents.sentence)) / words - 15.8


def _words(documents: Documents) -> np.ndarray:
    return np.maximum(documents.word_counts, 1)


_BY_RULE = "one pass over the text; syllables by rule, remembered for each word"

LIX = formula_measure(lix, ("en", "sv"), unit="LIX points", source="Björnsson 1968, Läsbarhet")

FLESCH_KINCAID = formula_measure(
    flesch_kincaid,
    ("en",),
    unit="US school grade",
    source="Kincaid, Fishburne, Rogers & Chissom 1975, Derivation of new readability formulas",
    cost=_BY_RULE,
)

FLESCH_KINCAID_SWEDISH = formula_measure(
    flesch_kincaid_swedish,
    ("sv",),
    unit="points, not calibrated to school grades",
    source="weights of Kincaid, Fishburne, Rogers & Chissom 1975, on Swedish syllables",
    cost=_BY_RULE,
)

COLEMAN_LIAU = formula_measure(
    coleman_liau, ("en",), "US school grade", "Coleman & Liau 1975, J. Applied Psychology 60(2), 283-284"
)
