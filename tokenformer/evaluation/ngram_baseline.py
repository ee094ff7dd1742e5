"""Unigram, bigram and trigram language models over token ids, to hold a neural model's loss against.

Interpolated modified Kneser-Ney smoothing (Chen and Goodman 1998, "An Empirical Study of Smoothing Techniques for
Language Modeling", Harvard TR-10-98): three discounts for each order, continuation counts below the highest order, and
the unigrams interpolated with the uniform distribution over the vocabulary. For a token w after the context h,

    p_k(w | h) = (c(h w) - D_k(c(h w))) / c(h)  +  backoff_k(h) * p_(k-1)(w | h without its first token)
    backoff_k(h) = (sum over w of D_k(c(h w))) / c(h),       p_0(w) = 1 / vocabulary size

and a context that was never seen passes everything to the next lower order (its backoff is 1).

Documents. A token stream holds documents separated by an end-of-document token, as the neural model reads them.
Context reaches back to the nearest end-of-document token and includes it, but nothing before it: the first token of a
document is predicted from the end-of-document token alone, the second from that token and the first. The stream is
taken to follow an end-of-document token, so its first document is no exception. Nothing ever stands to the left of a
context that begins with that token, so n-grams that begin with it have no continuation counts and keep their plain
counts at every order, as is usual for sentence starts.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

BASELINE_ORDERS = {"unigram": 1, "bigram": 2, "trigram": 3}

FALLBACK_DISCOUNTS = (0.5, 1.0, 1.5)


@dataclass(frozen=True)
class Discounts:
    """The discounts of the counts 1, 2, and 3 or more of one order.

    `estimated` is False where the counts of counts were degenerate and `FALLBACK_DISCOUNTS` stand in.
    """

    one: float
    two: float
    three_or_more: float
    estimated: bool

    @classmethod
    def from_counts(cls, counts: np.ndarray) -> Discounts:
        """The closed-form estimate from the number of n-grams with count 1, 2, 3 and 4.

        The estimate needs all four numbers to be positive and is of use only if it is positive itself (a discount of 0
        would give unseen tokens no probability). Otherwise, as for the unigrams of a subword vocabulary in which no
        token is rare, the whole order takes `FALLBACK_DISCOUNTS`.
        """
        n1, n2, n3, n4 = (int(np.count_nonzero(counts == count)) for count in (1, 2, 3, 4))
        if min(n1, n2, n3, n4) > 0:
            y = n1 / (n1 + 2 * n2)
            estimate = (1 - 2 * y * n2 / n1, 2 - 3 * y * n3 / n2, 3 - 4 * y * n4 / n3)
            if min(estimate) > 0:
                return cls(*estimate, estimated=True)
        return cls(*FALLBACK_DISCOUNTS, estimated=False)

    def of(self, counts: np.ndarray) -> np.ndarray:
        """The discount of each count, float64 of the shape of `counts`; 0 for a count of 0."""
        return np.array([0.0, self.one, self.two, self.three_or_more])[np.minimum(counts, 3)]


@dataclass(frozen=True)
class _Counts:
    """The distinct n-grams of one order, numbered 0, 1, … in the order of their keys.

    An n-gram's key is `context * vocabulary_size + token`, where `context` is the number of its first n - 1 tokens in
    the order below. So keys fit into 64 bits for any vocabulary and order.
    """

    keys: np.ndarray
    occurrences: np.ndarray
    context: np.ndarray
    suffix: np.ndarray


@dataclass(frozen=True)
class _Order:
    """One order of a fitted model.

    `probabilities[i]` is the interpolated probability of the i-th n-gram, `backoff[j]` the weight that the j-th
    context (an n-gram of the order below) leaves to the lower order.
    """

    keys: np.ndarray
    probabilities: np.ndarray
    backoff: np.ndarray
    discounts: Discounts


class KneserNeyModel:
    """An n-gram model over token ids; build one with `KneserNeyModel.fit`.

    Attributes: `vocabulary_size`, `end_of_document` (a token id), `order` (1 is a unigram model), and `discounts`, one
    `Discounts` for each order from the unigrams up.
    """

    def __init__(self, vocabulary_size: int, end_of_document: int, orders: list[_Order]):
        self.vocabulary_size = vocabulary_size
        self.end_of_document = end_of_document
        self._orders = orders

    @property
    def order(self) -> int:
        return len(self._orders)

    @property
    def discounts(self) -> list[Discounts]:
        return [order.discounts for order in self._orders]

    @classmethod
    def fit(cls, tokens: np.ndarray, vocabulary_size: int, order: int = 3, *, end_of_document: int) -> KneserNeyModel:
        """Counts a stream of token ids (integers [n], documents separated by `end_of_document`).

        With no tokens at all the model is the uniform distribution. Raises ValueError for an order below 1 and for ids
        that the vocabulary does not have. Costs a few sorts of n 64-bit integers, and about 110 bytes a token at its
        peak.
        """
        if order < 1:
            raise ValueError(f"the order of an n-gram model is at least 1, not {order}")
        _check_ids(np.array([end_of_document]), vocabulary_size)
        _check_ids(tokens, vocabulary_size)

        stream = _after_end_of_document(tokens, end_of_document)
        counts = _count_ngrams(stream, vocabulary_size, order, end_of_document)
        orders: list[_Order] = []
        lower_probabilities = np.array([1.0 / vocabulary_size])
        for index, ngrams in enumerate(counts):
            above = counts[index + 1] if index + 1 < order else None
            orders.append(_smooth(ngrams, _adjusted_counts(ngrams, above), lower_probabilities))
            lower_probabilities = orders[-1].probabilities
        return cls(vocabulary_size, end_of_document, orders)

    def log_probabilities(self, tokens: np.ndarray) -> np.ndarray:
        """The natural logarithm of each token's probability, float64 [n].

        `tokens` (integers [n]) is a stream as in `fit`. Token i is predicted from at most `order - 1` tokens before
        it, back to the last end-of-document token and including it; token 0 is predicted from an end-of-document
        token that is not part of the stream. Minus the mean is the loss in nats per token; the end-of-document tokens
        themselves are predicted too. Raises ValueError for ids that the vocabulary does not have.
        """
        _check_ids(tokens, self.vocabulary_size)
        stream = _after_end_of_document(tokens, self.end_of_document)
        ngram = stream
        probability = self._orders[0].probabilities[stream]
        for size, order in enumerate(self._orders[1:], start=2):
            if not order.keys.size:
                break
            context = _contexts(stream, ngram, size, self.end_of_document)
            ngram = _find(order.keys, context, stream, self.vocabulary_size)
            passed_on = np.where(context >= 0, order.backoff[context], 1.0) * probability
            probability = np.where(ngram >= 0, order.probabilities[ngram], passed_on)
        return np.log(probability[1:])


def _check_ids(tokens: np.ndarray, vocabulary_size: int) -> None:
    if tokens.ndim != 1 or not np.issubdtype(tokens.dtype, np.integer):
        raise ValueError(f"token ids are integers of shape [n], not {tokens.dtype} of shape {list(tokens.shape)}")
    if tokens.size and not (tokens.min() >= 0 and tokens.max() < vocabulary_size):
        raise ValueError(
            f"token ids from {tokens.min()} to {tokens.max()} do not fit a vocabulary of {vocabulary_size}: "
            "count and score with the tokenizer that made the tokens"
        )


def _after_end_of_document(tokens: np.ndarray, end_of_document: int) -> np.ndarray:
    stream = np.empty(len(tokens) + 1, dtype=np.int64)
    stream[0] = end_of_document
    stream[1:] = tokens
    return stream


def _contexts(stream: np.ndarray, shorter: np.ndarray, size: int, end_of_document: int) -> np.ndarray:
    """Numbers each position by the `size - 1` tokens before it, or -1 where a document starts between them.

    `shorter` [n + 1] numbers the n-gram of `size - 1` tokens that ends at each position, -1 where there is none.
    """
    context = np.full(len(stream), -1, dtype=np.int64)
    context[1:] = shorter[:-1]
    if size > 2:
        context[1:][stream[:-1] == end_of_document] = -1
    return context


def _find(keys: np.ndarray, context: np.ndarray, stream: np.ndarray, vocabulary_size: int) -> np.ndarray:
    """The number of the n-gram at each position, -1 where it was never seen."""
    wanted = context * vocabulary_size + stream
    position = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where((context >= 0) & (keys[position] == wanted), position, -1)


def _count_ngrams(stream: np.ndarray, vocabulary_size: int, order: int, end_of_document: int) -> list[_Counts]:
    """The distinct n-grams of each order from 1 to `order`; the first token of `stream` is context only."""
    nothing = np.zeros(vocabulary_size, dtype=np.int64)
    occurrences = np.bincount(stream[1:], minlength=vocabulary_size)
    counts = [_Counts(np.arange(vocabulary_size), occurrences, context=nothing, suffix=nothing)]
    ngram = stream
    for size in range(2, order + 1):
        context = _contexts(stream, ngram, size, end_of_document)
        positions = np.flatnonzero(context >= 0)
        keys, first, number, occurrences = np.unique(
            context[positions] * vocabulary_size + stream[positions],
            return_index=True,
            return_inverse=True,
            return_counts=True,
        )
        suffix = ngram[positions[first]]
        ngram = np.full(len(stream), -1, dtype=np.int64)
        ngram[positions] = number
        counts.append(_Counts(keys, occurrences, context=keys // vocabulary_size, suffix=suffix))
    return counts


def _adjusted_counts(ngrams: _Counts, above: _Counts | None) -> np.ndarray:
    """Below the highest order, the number of distinct tokens seen before each n-gram in place of its occurrences.

    An n-gram has no token before it exactly if it begins with the end-of-document token; it keeps its occurrences.
    """
    if above is None:
        return ngrams.occurrences
    continuations = np.bincount(above.suffix, minlength=len(ngrams.keys))
    return np.where(continuations > 0, continuations, ngrams.occurrences)


def _smooth(ngrams: _Counts, counts: np.ndarray, lower_probabilities: np.ndarray) -> _Order:
    discounts = Discounts.from_counts(counts)
    discount = discounts.of(counts)
    contexts = len(lower_probabilities)
    total = np.bincount(ngrams.context, weights=counts, minlength=contexts)
    backoff = np.ones(contexts)
    np.divide(np.bincount(ngrams.context, weights=discount, minlength=contexts), total, out=backoff, where=total > 0)
    seen = np.divide(counts - discount, total[ngrams.context], out=np.zeros(len(counts)), where=counts > 0)
    probabilities = seen + backoff[ngrams.context] * lower_probabilities[ngrams.suffix]
    return _Order(ngrams.keys, probabilities, backoff, discounts)
