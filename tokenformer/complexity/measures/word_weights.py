"""Weights for single words: how much each adds to a text's grade, by a bag of words with a ridge penalty."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from tokenformer.complexity.text.documents import Documents
from tokenformer.errors import MissingExtraError

LEAST_TEXTS = 3
"""A word that fewer graded texts have is not looked at."""


@dataclass(frozen=True, eq=False)
class KnownWords:
    """The different known words of n texts, as pairs (text, word); int64[p] both, by text.

    The value of a word in a text is 1 / sqrt(k), k being the number of different known words there: then the values of
    a text are a vector of length 1, long text or short.
    """

    document: np.ndarray
    word: np.ndarray
    documents: int

    @cached_property
    def values(self) -> np.ndarray:
        """float64[p]."""
        counts = np.bincount(self.document, minlength=self.documents)
        return 1 / np.sqrt(counts[self.document])

    def sums(self, weight: np.ndarray) -> np.ndarray:
        """float64[n]: sum of value times weight over the words of each text; `weight` is float64[v]."""
        return np.bincount(self.document, self.values * weight[self.word], self.documents)


def known_words(documents: Documents, number: Mapping[str, int]) -> KnownWords:
    """The words of `documents` that have a number."""
    numbers = documents.of_vocabulary(lambda word: number.get(word, -1))
    used = np.flatnonzero(numbers >= 0)
    is_known = np.isin(documents.word, used)
    size = max(len(number), 1)
    pairs = np.unique(documents.document[is_known] * size + numbers[documents.word[is_known]])
    return KnownWords(pairs // size, pairs % size, len(documents))


def frequent_words(documents: Documents) -> list[str]:
    """The words that at least LEAST_TEXTS texts have, in alphabetical order; numbers are left out."""
    size = max(len(documents.vocabulary), 1)
    pairs = np.unique(documents.document * size + documents.word)
    texts = np.bincount(pairs % size, minlength=len(documents.vocabulary))
    return sorted(
        word for word, count in zip(documents.vocabulary, texts, strict=True) if count >= LEAST_TEXTS and word.isalpha()
    )


@dataclass(frozen=True, eq=False)
class LinearModel:
    """Weights float64[m] of features and float64[v] of words, and the intercept."""

    feature_weight: np.ndarray
    word_weight: np.ndarray
    intercept: float


def fit_linear_model(
    features: np.ndarray,
    words: KnownWords,
    vocabulary: int,
    target: np.ndarray,
    penalty: float,
    word_penalty: float,
    monotone: bool,
) -> LinearModel:
    """Ridge regression of `target` float64[n] on features float64[n, m] and words, each with its own penalty.

    With `monotone` no feature has a negative weight; words may. The feature whose weight is most negative is left out,
    until none is. Needs scikit-learn.
    """
    try:
        from scipy.sparse import csr_matrix, hstack
        from sklearn.linear_model import Ridge
    except ImportError as error:
        raise MissingExtraError("scikit-learn", "curriculum", "Fitting a regressor") from error
    # One penalty for all columns: a column that is made larger needs a smaller weight, and pays less.
    enlarged = np.sqrt(penalty / word_penalty)
    bags = csr_matrix((enlarged * words.values, (words.document, words.word)), (words.documents, vocabulary))
    used, feature_weight = np.arange(features.shape[1]), np.zeros(features.shape[1])
    while used.size + vocabulary:
        columns = hstack([csr_matrix(features[:, used]), bags]).tocsr() if vocabulary else features[:, used]
        model = Ridge(penalty, tol=1e-9).fit(columns, target)
        weight = model.coef_[: used.size]
        if not monotone or weight.min(initial=0.0) >= 0:
            feature_weight[used] = weight
            return LinearModel(feature_weight, enlarged * model.coef_[used.size :], float(model.intercept_))
        used = np.delete(used, weight.argmin())
    return LinearModel(feature_weight, np.zeros(0), float(target.mean()))
