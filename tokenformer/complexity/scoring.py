"""Scoring documents with a measure chosen by name."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from tokenformer.complexity.measure import ARTIFICIAL, MEASURES, Measure
from tokenformer.complexity.measures.compression import COMPRESSION
from tokenformer.complexity.measures.dependency import DEPENDENCY_DISTANCE
from tokenformer.complexity.measures.diversity import MATTR, MTLD
from tokenformer.complexity.measures.ensemble import ENSEMBLE
from tokenformer.complexity.measures.lexical import RARE_WORDS, VOCABULARY_RARITY, WORD_RARITY
from tokenformer.complexity.measures.model_loss import LOSS_GAP, PERPLEXITY
from tokenformer.complexity.measures.nesting import IDENTIFIER_ENTROPY, NESTING_DEPTH
from tokenformer.complexity.measures.readability import COLEMAN_LIAU, FLESCH_KINCAID, FLESCH_KINCAID_SWEDISH, LIX
from tokenformer.complexity.measures.regressor import REGRESSOR
from tokenformer.complexity.measures.structure import LONGEST_SENTENCE, SENTENCE_LENGTH, WORD_LENGTH
from tokenformer.complexity.measures.surprisal import SURPRISAL, VOCABULARY_SURPRISAL
from tokenformer.complexity.text.language import AUTOMATIC, DETECTED, certain_language, known_language

MEASURES.enter(ENSEMBLE, REGRESSOR, SURPRISAL, VOCABULARY_SURPRISAL)
MEASURES.enter(LIX, FLESCH_KINCAID, FLESCH_KINCAID_SWEDISH, COLEMAN_LIAU)
MEASURES.enter(SENTENCE_LENGTH, LONGEST_SENTENCE, WORD_LENGTH, WORD_RARITY, VOCABULARY_RARITY, RARE_WORDS)
MEASURES.enter(MATTR, MTLD, COMPRESSION, NESTING_DEPTH, IDENTIFIER_ENTROPY, DEPENDENCY_DISTANCE, PERPLEXITY, LOSS_GAP)


def default_measure(language: str) -> str:
    """The measure that `score` takes where none is named."""
    return NESTING_DEPTH.name if language in ARTIFICIAL else ENSEMBLE.name


def score(texts: Iterable[str], language: str = AUTOMATIC, measure: str | None = None, **parameters: Any) -> np.ndarray:
    """Complexity float64[n] of n texts, in the unit of the measure; harder is higher.

    language: a code or a name, such as "sv", "Swedish" or "svenska"; "code" or "formal"; "auto" finds out which
    (`detect_language`), and what it found is logged.
    measure: a key of `MEASURES`; None is `ensemble` (surprisal and sentence length, standardised), and `nesting_depth`
    for code and formal languages. For English and Swedish every score is of its text alone. In other languages
    `surprisal` and `ensemble` are fitted on these very texts: they compare them with one another, want a good number of
    texts, and change when texts are added. `score(texts, measure="surprisal", reference_texts=simple_texts)` takes
    text that you know to be simple for the reference.

    Raises UserError for an unknown measure or parameter, where the measure does not hold for the language, and for a
    language that cannot be told; MissingExtraError where a package is missing.
    """
    texts = texts if isinstance(texts, str) else list(texts)
    language = known_language(language)
    if language == AUTOMATIC:
        language = certain_language(texts) if texts else DETECTED[0]
    return find_measure(default_measure(language) if measure is None else measure).fit(texts, language, **parameters)(
        texts
    )


def find_measure(name: str) -> Measure:
    """The measure of that name; raises UserError where there is none."""
    return MEASURES.find(name)
