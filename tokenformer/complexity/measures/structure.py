"""Lengths of sentences and words.

Means over sentences and words, so doubling a text changes none of them (rounding aside).
"""

import numpy as np

from tokenformer.complexity.measure import NATURAL, formula_measure
from tokenformer.complexity.text.documents import Documents


def sentence_length(documents: Documents) -> np.ndarray:
    """Words per sentence, float64[n]; 0 for a blank text."""
    return documents.word_counts / documents.sentence_counts(documents.sentence)


def longest_sentence(documents: Documents) -> np.ndarray:
    """Words of the longest sentence, float64[n]; 0 for a blank text."""
    lengths = np.bincount(documents.sentence)
    first_words = np.flatnonzero(np.diff(documents.sentence, prepend=-1))
    longest = np.zeros(len(documents))
    np.maximum.at(longest, documents.document[first_words], lengths)
    return longest


def word_length(documents: Documents) -> np.ndarray:
    """Letters and digits per word, float64[n]; 0 for a blank text."""
    return documents.means(documents.letter_counts[documents.word])


SENTENCE_LENGTH = formula_measure(
    sentence_length,
    (NATURAL,),
    unit="words per sentence",
    source="the common part of readability formulas since Vogel & Washburne 1928 and Flesch 1948",
)

LONGEST_SENTENCE = formula_measure(
    longest_sentence, (NATURAL,), unit="words", source="own; what a reader has to hold in mind at most"
)

WORD_LENGTH = formula_measure(
    word_length,
    (NATURAL,),
    unit="letters per word",
    source="the other part of ARI (Smith & Senter 1967) and of Coleman & Liau 1975",
)
