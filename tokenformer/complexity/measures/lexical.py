"""How rare the words of a text are in the language at large, by wordfreq (extra `curriculum`).

wordfreq (Speer 2022) merges subtitles, news, books, Wikipedia, web and social media; its Zipf scale (van Heuven,
Mandera, Keuleers & Brysbaert 2014) is log10 of the occurrences in a billion words. Here harder is higher, so a word
counts with 9 minus its Zipf frequency: -log10 of its relative frequency, 9 for a word that is not listed.
"""

from collections.abc import Callable, Iterable
from functools import lru_cache, partial

import numpy as np

from tokenformer.complexity.measure import Learn, Measure, ScoreFunction
from tokenformer.complexity.text.documents import Documents
from tokenformer.errors import MissingExtraError

RARE_FROM = 5.0
"""Rarity above which a word counts as rare: once in 100,000 words, Zipf 4, where van Heuven et al. let low end."""


def _score(documents: Documents, language: str, measure: Callable[[Documents, np.ndarray], np.ndarray]) -> np.ndarray:
    """Scores by the rarity of words in one language; other processes load the frequencies for themselves."""

    def rarity() -> np.ndarray:
        return documents.of_vocabulary(lambda word: word_rarity_of(word, language), np.float64)

    return measure(documents, documents.shared(("rarity", language), rarity))


def _learn(measure: Callable[[Documents, np.ndarray], np.ndarray]) -> Learn:
    def learn(train_texts: Iterable[str], language: str, parameters: object) -> ScoreFunction:
        _zipf_frequency()
        return partial(_score, language=language, measure=measure)

    return learn


@lru_cache(maxsize=1 << 18)
def word_rarity_of(word: str, language: str) -> float:
    """-log10 of the relative frequency of a word in lower case, in [0.x, 9]; 9 where wordfreq does not have it."""
    return 9.0 - _zipf_frequency()(word[:_LONGEST_LOOKED_UP], language)


_LONGEST_LOOKED_UP = 60
"""Characters; nothing longer is listed, and wordfreq would take it apart."""


def _zipf_frequency() -> Callable[[str, str], float]:
    try:
        from wordfreq import zipf_frequency
    except ImportError as error:
        raise MissingExtraError("wordfreq", "curriculum", "Word frequency") from error
    return zipf_frequency


def word_rarity(documents: Documents, rarity: np.ndarray) -> np.ndarray:
    """Mean rarity of the words, float64[n]; 0 for a blank text. Doubling a text does not change it."""
    return documents.means(rarity[documents.word])


def vocabulary_rarity(documents: Documents, rarity: np.ndarray) -> np.ndarray:
    """Mean rarity of the different words, float64[n]; 0 for a blank text. Doubling a text does not change it.

    Frequent words repeat and rare ones do not, so the mean rises with the length of a text: compare texts of one
    length.
    """
    size = max(len(documents.vocabulary), 1)
    pairs = np.unique(documents.document * size + documents.word)
    document = pairs // size
    kinds = np.bincount(document, minlength=len(documents))
    return np.bincount(document, rarity[pairs % size], len(documents)) / np.maximum(kinds, 1)


def rare_words(documents: Documents, rarity: np.ndarray) -> np.ndarray:
    """Share of the words that are rarer than one in 100,000, float64[n]. Doubling a text does not change it."""
    return documents.means((rarity > RARE_FROM)[documents.word])


def _measure(function: Callable[[Documents, np.ndarray], np.ndarray], unit: str) -> Measure:
    source = "wordfreq (Speer 2022), Zipf scale of van Heuven et al. 2014, Q. J. Experimental Psychology 67(6)"
    cost = "one pass over the text; frequencies are looked up once a word"
    return Measure(function.__name__, ("en", "sv"), unit, source, cost, _learn(function))


WORD_RARITY = _measure(word_rarity, "-log10 of relative frequency")
VOCABULARY_RARITY = _measure(vocabulary_rarity, "-log10 of relative frequency")
RARE_WORDS = _measure(rare_words, "share of the words")
