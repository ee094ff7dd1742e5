"""Which language a text is in: English, Swedish, or neither.

Each language says how many bits the words of a text cost: a word that its simple text has, by its count there; another
word, by its letters, each after the two before it. "other" pays for every letter what a language costs that is told by
the letters of its own words. The three are weighed by Bayes' rule with equal prior odds. Of sentences of eight words
drawn from the frequency lists of wordfreq, all English and 96 % of the Swedish ones are told, and at least 97 % of the
German, French, Spanish, Finnish, Dutch, Italian and Polish ones are told from both; a third of so short Danish and
Norwegian ones pass for Swedish.
"""

import itertools
import logging
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from tokenformer.complexity.text.documents import Documents, analysed
from tokenformer.complexity.text.reference import built_in_reference
from tokenformer.config.nearest import nearest_word
from tokenformer.errors import UserError

logger = logging.getLogger(__name__)

AUTOMATIC = "auto"
OTHER = "other"
ARTIFICIAL = ("code", "formal")
"""Languages that nobody speaks: programs, and strings of formal languages."""
DETECTED = ("en", "sv")
LEAST_CONFIDENCE = 0.8

UNKNOWN_SHARE = 0.08
"""Probability that a word is not among those of the simple text."""

OTHER_BITS_PER_LETTER = 3.7

MOST_TEXTS, MOST_CHARACTERS = 1000, 2000
"""The sample that is looked at: so many texts, and so much of each."""


@dataclass(frozen=True)
class Detection:
    """A language ("en", "sv" or "other") and how sure that is, in [0, 1].

    For several texts it is the mean over them, by their words: 0.5 where half of the text is in another language.
    """

    language: str
    confidence: float

    @property
    def is_certain(self) -> bool:
        """Tells whether it is English or Swedish, and sure enough to go on with."""
        return self.language != OTHER and self.confidence >= LEAST_CONFIDENCE


@lru_cache
def known_language(name: str) -> str:
    """The code of a language from a code or a name in any language: "sv" for "sv", "Swedish" and "svenska".

    "auto", "code" and "formal" stay as they are.

    Raises:
        UserError: there is no such language; the message names the nearest.
    """
    import langcodes

    plain = name.strip().lower()
    if plain in (AUTOMATIC, *ARTIFICIAL):
        return plain
    if len(plain) in (2, 3) and langcodes.tag_is_valid(plain):
        return langcodes.standardize_tag(plain)
    try:
        return langcodes.find(plain).to_tag()
    except LookupError:
        raise UserError(f"there is no language '{name}'; {_nearest(plain)}") from None


def _nearest(name: str) -> str:
    import langcodes

    letters = map(chr, range(ord("a"), ord("z") + 1))
    codes = filter(langcodes.tag_is_valid, map("".join, itertools.product(letters, repeat=2)))
    names = {code: code for code in (AUTOMATIC, *ARTIFICIAL)}
    for code in codes:
        language = langcodes.get(code)
        names |= {language.display_name().lower(): code, language.autonym().lower(): code, code: code}
    near = nearest_word(name, names)
    hint = f"did you mean {near} ({names[near]})? " if near else ""
    return f"{hint}Give auto, a code such as en or sv, a name such as english or svenska, code or formal"


def detect_language(texts: Iterable[str]) -> Detection:
    """The language of most of the first 1000 texts, by their beginnings; "other" with confidence 0 without words."""
    documents = analysed([text[:MOST_CHARACTERS] for text in itertools.islice(texts, MOST_TEXTS)])
    weights = documents.sums(_has_letters(documents)[documents.word])
    if not weights.sum():
        return Detection(OTHER, 0.0)
    shares = weights @ _posteriors(documents) / weights.sum()
    best = int(shares.argmax())
    return Detection((*DETECTED, OTHER)[best], float(shares[best]))


def certain_language(texts: Iterable[str]) -> str:
    """The language of the texts; raises UserError where it is neither English nor Swedish, or not sure enough."""
    found = detect_language(texts)
    if found.is_certain:
        logger.info("language: %s, found out with confidence %.2f", found.language, found.confidence)
        return found.language
    raise UserError(
        f"the language of the text cannot be told (best guess: {found.language}, confidence {found.confidence:.2f}); "
        "name it, as en, sv, another code, code or formal"
    )


def _posteriors(documents: Documents) -> np.ndarray:
    """float64[n, 3]: probability of each of DETECTED and of OTHER."""
    costs = [documents.of_vocabulary(_word_costs(language), np.float64) for language in DETECTED]
    costs.append(documents.of_vocabulary(lambda word: OTHER_BITS_PER_LETTER * (len(word) + 1), np.float64))
    has_letters = _has_letters(documents)
    bits = np.stack([documents.sums((cost * has_letters)[documents.word]) for cost in costs], axis=1)
    # A text is no string of independent words, so no text is believed beyond 2**-50.
    likelihoods = np.exp2(-np.minimum(bits - bits.min(axis=1, keepdims=True), 50))
    return likelihoods / likelihoods.sum(axis=1, keepdims=True)


def _has_letters(documents: Documents) -> np.ndarray:
    """bool[v]: words of the vocabulary that say something about the language."""
    return documents.of_vocabulary(lambda word: not word.isdigit(), bool)


class _WordCosts:
    """Bits of a word in one language."""

    def __init__(self, language: str):
        model = built_in_reference(language).model
        self._known = np.log2(model.word_counts.sum()) - np.log2(model.word_counts * (1 - UNKNOWN_SHARE))
        self._number = model.vocabulary
        self._runs = Counter(
            padded[end - size : end]
            for padded in map(_padded, model.vocabulary)
            for end in range(3, len(padded) + 1)
            for size in range(1, 4)
        )
        self._contexts = Counter()
        for run, count in self._runs.items():
            self._contexts[run[:-1]] += count

    def __call__(self, word: str) -> float:
        number = self._number.get(word)
        return self._spelled(word) if number is None else float(self._known[number])

    def _spelled(self, word: str) -> float:
        padded = _padded(word)
        letters = sum(np.log2(self._probability(padded[end - 3 : end])) for end in range(3, len(padded) + 1))
        return -np.log2(UNKNOWN_SHARE) - float(letters)

    def _probability(self, run: str) -> float:
        """Probability of the last letter after those before it; shorter runs count as five more occurrences."""
        probability = 1e-4
        for size in range(1, 4):
            seen, context = self._runs[run[-size:]], self._contexts[run[-size:-1]]
            probability = (seen + 5 * probability) / (context + 5)
        return probability


def _padded(word: str) -> str:
    return f"^^{word}$"


@lru_cache
def _word_costs(language: str) -> _WordCosts:
    return _WordCosts(language)
