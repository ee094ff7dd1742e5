"""Readability formulas."""

import numpy as np

from tokenformer.curriculum.measure import Measure, formula
from tokenformer.curriculum.syllables import english_syllables
from tokenformer.curriculum.text import PERIODS, SentenceSplitter, letters, words

_LIX_SENTENCES = SentenceSplitter(PERIODS + ":")
_KINCAID_SENTENCES = SentenceSplitter(PERIODS)
_LONG_WORD = 6


def lix(texts: list[str]) -> np.ndarray:
    """LIX float64[n]: words per sentence + percentage of words with more than six letters; 0 for a blank text.

    Björnsson 1968, "Läsbarhet". A sentence ends at a full stop, a colon, an exclamation or question mark. Doubling a
    text does not change it (rounding aside).
    """
    return np.array([_lix(text) for text in texts])


def _lix(text: str) -> float:
    found = words(text)
    if not found:
        return 0.0
    long = sum(len(word) > _LONG_WORD and letters(word) > _LONG_WORD for word in found)
    return len(found) / len(_LIX_SENTENCES(text)) + 100 * long / len(found)


def flesch_kincaid(texts: list[str]) -> np.ndarray:
    """Grade float64[n]: 0.39 words per sentence + 11.8 syllables per word - 15.59, for English.

    Kincaid, Fishburne, Rogers & Chissom 1975, "Derivation of new readability formulas", page 14. A sentence ends at a
    full stop, an exclamation or question mark. A blank text has the least possible grade, that of one word of one
    syllable. Doubling a text does not change it (rounding aside).
    """
    return np.array([_flesch_kincaid(text) for text in texts])


def _flesch_kincaid(text: str) -> float:
    found = words(text.lower())
    word_count = max(len(found), 1)
    sentence_count = max(len(_KINCAID_SENTENCES(text)), 1)
    syllable_count = max(sum(map(english_syllables, found)), 1)
    return 0.39 * word_count / sentence_count + 11.8 * syllable_count / word_count - 15.59


LIX = Measure(
    name="lix",
    languages=("en", "sv"),
    unit="LIX points",
    source="Björnsson 1968, Läsbarhet",
    cost="one pass over the text",
    learn=formula(lix),
)

FLESCH_KINCAID = Measure(
    name="flesch_kincaid",
    languages=("en",),
    unit="US school grade",
    source="Kincaid, Fishburne, Rogers & Chissom 1975, Derivation of new readability formulas",
    cost="one pass over the text; syllables by rule, remembered for each word",
    learn=formula(flesch_kincaid),
)
