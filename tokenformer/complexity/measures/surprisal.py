"""Mean surprisal of words, running or different ones, under a bigram model of the simplest text."""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from tokenformer.complexity.measure import ARTIFICIAL, NATURAL, Measure, ScoreFunction
from tokenformer.complexity.text.bigram import BigramModel, WordStream, numbered_words
from tokenformer.complexity.text.documents import Documents
from tokenformer.complexity.text.reference import KNOWN_SHARE, built_in_reference, has_reference
from tokenformer.complexity.text.words import normalise
from tokenformer.config.keys import key
from tokenformer.errors import UserError

BUILT_IN, CORPUS = "built_in", "corpus"


@dataclass(frozen=True)
class SurprisalParameters:
    """The keys that the user may set.

    The reference "built_in" is the counts that the package brings for English and Swedish; "corpus" is the simplest
    texts of the corpus itself; None is the first where there is one. Simple text keeps to the core vocabulary.
    """

    reference: str | None = key(None, "where the simple text comes from", choices=(BUILT_IN, CORPUS))
    share: float = key(0.1, "part of the corpus, in words, that is taken for the simplest text", above=0, most=1)
    core: float = key(0.9, "part of the corpus that its core vocabulary makes up", above=0, most=1)
    reference_texts: Sequence[str] | None = key(None, "simple texts given by the user, instead of all that")

    def __post_init__(self):
        if self.reference_texts is not None and self.reference is not None:
            raise UserError("measure 'surprisal': give reference or reference_texts, not both")

    def is_built_in(self, language: str) -> bool:
        """Tells whether the package's own reference is used; UserError where it is asked for and there is none."""
        if self.reference == BUILT_IN and not has_reference(language):
            raise UserError(
                f"measure 'surprisal': the package brings no simple text for language '{language}'; "
                f"set reference to {CORPUS}, or give reference_texts"
            )
        return self.reference_texts is None and self.reference != CORPUS and has_reference(language)


WordMean = Callable[[Documents, np.ndarray], np.ndarray]
"""Documents and a value float64[t] of each word -> a mean float64[n] for each document."""


def running_mean(documents: Documents, values: np.ndarray) -> np.ndarray:
    """Means over all words of each text, float64[n]."""
    return documents.means(values)


def vocabulary_mean(documents: Documents, values: np.ndarray) -> np.ndarray:
    """Means over the different words of each text, where they first occur, float64[n]."""
    size = max(len(documents.vocabulary), 1)
    _, first = np.unique(documents.document * size + documents.word, return_index=True)
    # In the order of the text, so that the sum is rounded alike whatever stands beside it.
    first.sort()
    document = documents.document[first]
    different = np.bincount(document, minlength=len(documents))
    return np.bincount(document, values[first], len(documents)) / np.maximum(different, 1)


@dataclass(frozen=True)
class SurprisalFunction:
    """Mean surprisal of a text's words in bits; 0 for a text without words.

    A text that is part of the reference is priced by the model of the rest of the reference, so that membership does
    not make it look easy: in a fitted reference it is recognised by the digest of its normalised form, in the built-in
    one by the hashes of its sentences (`Reference.overlap`). When a text is doubled, the
    price of one word changes, the first of the copy: by at most 250 bits, divided by the number of words. The mean over
    different words does not change.
    """

    model: BigramModel
    mean: WordMean
    reference_digests: tuple[bytes, ...] = ()

    def __call__(self, documents: Documents) -> np.ndarray:
        stream = self.model.read(documents)
        left_out = np.zeros(len(documents), dtype=bool)
        if self.reference_digests:
            members = frozenset(self.reference_digests)
            left_out = np.array([_digest(text) in members for text in documents.texts], dtype=bool)
        return self.mean(documents, self.model.surprisal(stream, left_out))


@dataclass(frozen=True)
class BuiltInSurprisal:
    """`SurprisalFunction` under the package's reference, which other processes read for themselves."""

    language: str
    mean: WordMean

    def __call__(self, documents: Documents) -> np.ndarray:
        bits = documents.shared(("built-in surprisal", self.language), lambda: self._bits(documents))
        return self.mean(documents, bits)

    def _bits(self, documents: Documents) -> np.ndarray:
        reference = built_in_reference(self.language)
        left_out = reference.overlap(documents) >= KNOWN_SHARE
        return reference.model.surprisal(reference.model.read(documents), left_out)


def learn_surprisal(
    texts: Iterable[str], language: str, parameters: SurprisalParameters, mean: WordMean = running_mean
) -> ScoreFunction:
    """The built-in model, or one fitted on `parameters.reference_texts`, or on the simplest share of `texts`.

    Texts that occur more than once count once.
    """
    if parameters.is_built_in(language):
        return BuiltInSurprisal(language, mean)
    if parameters.reference_texts is None:
        reference = simplest_texts(list(dict.fromkeys(texts)), parameters.share, parameters.core)
    else:
        reference = list(dict.fromkeys(map(normalise, parameters.reference_texts)))
    vocabulary, stream = numbered_words(reference)
    return SurprisalFunction(BigramModel.fit(vocabulary, stream), mean, tuple(sorted(map(_digest, reference))))


def simplest_texts(texts: list[str], share: float, core: float) -> list[str]:
    """The texts with the plainest vocabulary, plainest first, until they hold `share` of all words.

    The core vocabulary of some text is the smallest set of most frequent words that makes up the part `core` of it.
    Texts are ranked by the share of their words outside the core vocabulary, equals by their mean unigram surprisal
    under the corpus: first with the core vocabulary of the whole corpus, then once more with that of the texts found
    first, because the corpus has the frequent words of all its styles. More rounds drift to the most formulaic text.

    The length of sentences is not looked at: text made simple by a small vocabulary may have long ones (the Bible in
    Basic English does). Ranking by surprisal alone takes archaic text with many function words for simple.
    """
    vocabulary, stream = numbered_words(texts)
    counts = np.bincount(stream.word, minlength=len(vocabulary))
    sizes = np.bincount(stream.document, minlength=len(texts))
    bits = np.log2(max(stream.word.size, 1)) - np.log2(counts[stream.word])
    surprisal = _document_means(stream, bits, len(texts))
    simplest = np.arange(len(texts))
    for _ in range(2):
        inside = stream.word[np.isin(stream.document, simplest)]
        is_rare = _outside_core(np.bincount(inside, minlength=len(vocabulary)), core)
        ranked = np.lexsort((surprisal, _document_means(stream, is_rare[stream.word], len(texts))))
        ranked = ranked[sizes[ranked] > 0]
        taken = np.searchsorted(np.cumsum(sizes[ranked]), share * stream.word.size) + 1
        simplest = ranked[:taken]
    return [texts[index] for index in simplest.tolist()]


def _outside_core(counts: np.ndarray, core: float) -> np.ndarray:
    """bool[v]: words that do not belong to the core vocabulary of the text in which they have these counts."""
    descending = np.sort(counts)[::-1]
    last = np.searchsorted(np.cumsum(descending), core * counts.sum())
    return counts < descending[last : last + 1]


def _document_means(stream: WordStream, bits: np.ndarray, documents: int) -> np.ndarray:
    sizes = np.bincount(stream.document, minlength=documents)
    return np.bincount(stream.document, bits, documents) / np.maximum(sizes, 1)


def _digest(text: str) -> bytes:
    return hashlib.blake2b(text.encode("utf-8"), digest_size=16).digest()


SURPRISAL = Measure(
    name="surprisal",
    languages=(NATURAL, *ARTIFICIAL),
    unit="bits per word",
    source="Surprisal as difficulty: Hale 2001, Levy 2008; smoothing: Witten & Bell 1991, method C",
    cost="one pass over the text; two more where the reference has to be fitted",
    learn=learn_surprisal,
    parameters=SurprisalParameters,
)

VOCABULARY_SURPRISAL = Measure(
    name="vocabulary_surprisal",
    languages=(NATURAL, *ARTIFICIAL),
    unit="bits per different word",
    source="own; surprisal as above over different words, of which a long text has more rare ones",
    cost="that of surprisal, and a sort of the words",
    learn=partial(learn_surprisal, mean=vocabulary_mean),
    parameters=SurprisalParameters,
)
"""Frequent words repeat and rare ones do not, so it rises with the length of a text: compare texts of one length."""
