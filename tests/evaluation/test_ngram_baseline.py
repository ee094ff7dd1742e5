import argparse
import ast
import decimal
import doctest
import inspect
import json
import math
import pathlib
import statistics
import subprocess
import unittest.mock
from collections import Counter, defaultdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenformer.evaluation.ngram_baseline import BASELINE_ORDERS, FALLBACK_DISCOUNTS, Discounts, KneserNeyModel

END = 0


class DictionaryOracle:
    """The definition by Chen and Goodman, written with dictionaries and one recursion, for tiny data."""

    def __init__(self, tokens, vocabulary_size, order):
        self.vocabulary_size = vocabulary_size
        self.order = order
        occurrences = defaultdict(Counter)
        for history, token in self.histories(tokens):
            for length in range(min(order - 1, len(history)) + 1):
                gram = (*history[len(history) - length :], token)
                occurrences[len(gram)][gram] += 1
        self.counts = {}
        for size in range(1, order + 1):
            before = defaultdict(set)
            for longer in occurrences[size + 1]:
                before[longer[1:]].add(longer[0])
            self.counts[size] = {
                gram: len(before[gram]) if size < order and not (size > 1 and gram[0] == END) else count
                for gram, count in occurrences[size].items()
            }
        self.discounts = {size: self.estimate(list(counts.values())) for size, counts in self.counts.items()}

    @staticmethod
    def histories(tokens):
        document = [END]
        for token in tokens:
            yield tuple(document), token
            document = [END] if token == END else [*document, token]

    @staticmethod
    def estimate(counts):
        n = [counts.count(i) for i in range(5)]
        if 0 not in n[1:]:
            y = n[1] / (n[1] + 2 * n[2])
            estimate = [i - (i + 1) * y * n[i + 1] / n[i] for i in (1, 2, 3)]
            if all(discount > 0 for discount in estimate):
                return estimate
        return list(FALLBACK_DISCOUNTS)

    def probability(self, history, token):
        lower = self.probability(history[1:], token) if history else 1 / self.vocabulary_size
        size = len(history) + 1
        followers = {gram[-1]: count for gram, count in self.counts[size].items() if gram[:-1] == history}
        if not followers:
            return lower
        discount = {follower: self.discounts[size][min(count, 3) - 1] for follower, count in followers.items()}
        total = sum(followers.values())
        seen = (followers[token] - discount[token]) / total if token in followers else 0.0
        return seen + sum(discount.values()) / total * lower

    def log_probabilities(self, tokens):
        return [
            math.log(self.probability(history[-(self.order - 1) :] if self.order > 1 else (), token))
            for history, token in self.histories(tokens)
        ]


def fit(tokens, vocabulary_size, order):
    return KneserNeyModel.fit(np.array(tokens, dtype=np.int32), vocabulary_size, order, end_of_document=END)


def distribution(model, context):
    """P(. | context) for a document that begins with `context`, read off the last token of one document each."""
    rows = [
        model.log_probabilities(np.array([*context, token], dtype=np.int64))[-1]
        for token in range(model.vocabulary_size)
    ]
    return np.exp(rows)


@given(
    tokens=st.lists(st.integers(0, 4), max_size=60),
    held_out=st.lists(st.integers(0, 5), min_size=1, max_size=30),
    order=st.integers(1, 4),
)
def test_equals_the_dictionary_oracle(tokens, held_out, order):
    expected = DictionaryOracle(tokens, vocabulary_size=6, order=order).log_probabilities(held_out)
    measured = fit(tokens, 6, order).log_probabilities(np.array(held_out))
    assert measured.dtype == np.float64
    np.testing.assert_allclose(measured, expected, rtol=1e-12)


@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_equals_the_dictionary_oracle_where_the_discounts_are_estimated(order):
    random = np.random.default_rng(5)
    words = np.minimum(random.geometric(0.3, size=1500), 38)
    words[random.random(1500) < 0.1] = END
    model = fit(words, 40, order)
    assert all(discounts.estimated for discounts in model.discounts[1:])
    held_out = random.integers(0, 40, size=60)
    expected = DictionaryOracle(words.tolist(), 40, order).log_probabilities(held_out.tolist())
    np.testing.assert_allclose(model.log_probabilities(held_out), expected, rtol=1e-12)


@given(
    tokens=st.lists(st.integers(0, 5), max_size=80),
    context=st.lists(st.integers(0, 7), max_size=4),
    order=st.integers(1, 4),
)
def test_every_distribution_sums_to_one_for_seen_and_unseen_contexts(tokens, context, order):
    probabilities = distribution(fit(tokens, 8, order), context)
    assert probabilities.min() > 0
    assert probabilities.sum() == pytest.approx(1, abs=1e-12)


@given(
    first=st.lists(st.integers(1, 5), max_size=10),
    second=st.lists(st.integers(1, 5), max_size=10),
    tokens=st.lists(st.integers(0, 5), max_size=60),
)
def test_context_does_not_cross_documents(first, second, tokens):
    model = fit(tokens, 6, 3)
    together = model.log_probabilities(np.array([*first, END, *second, END]))
    apart = [model.log_probabilities(np.array([*document, END])) for document in (first, second)]
    np.testing.assert_array_equal(together, np.concatenate(apart))


def test_documents_in_any_order_give_the_same_model():
    documents = [[1, 2, 3, END], [2, 2, END], [END], [4, 1, 2, END]]
    probe = np.array([1, 2, 3, 4, END, 2, 2, END, END, 3])
    forward = fit(sum(documents, []), 6, 3).log_probabilities(probe)
    backward = fit(sum(documents[::-1], []), 6, 3).log_probabilities(probe)
    np.testing.assert_array_equal(forward, backward)


def test_discounts_follow_the_closed_form():
    counts = np.repeat([1, 2, 3, 4, 9], [50, 20, 10, 6, 3])
    discounts = Discounts.from_counts(counts)
    y = 50 / 90
    assert discounts.estimated
    assert (discounts.one, discounts.two, discounts.three_or_more) == pytest.approx(
        (1 - 2 * y * 20 / 50, 2 - 3 * y * 10 / 20, 3 - 4 * y * 6 / 10)
    )
    np.testing.assert_allclose(
        discounts.of(np.array([0, 1, 2, 3, 70])),
        [0, discounts.one, discounts.two, discounts.three_or_more, discounts.three_or_more],
    )


@pytest.mark.parametrize(
    "numbers_of_counts",
    [(0, 20, 10, 6), (50, 0, 10, 6), (50, 20, 0, 6), (50, 20, 10, 0), (50, 1, 10, 6), (0, 0, 0, 0)],
    ids=["no ones", "no twos", "no threes", "no fours", "negative estimate", "nothing"],
)
def test_degenerate_counts_of_counts_take_the_fallback(numbers_of_counts):
    discounts = Discounts.from_counts(np.repeat([1, 2, 3, 4], numbers_of_counts))
    assert not discounts.estimated
    assert (discounts.one, discounts.two, discounts.three_or_more) == FALLBACK_DISCOUNTS


def test_without_training_text_the_model_is_uniform():
    model = fit([], 7, 3)
    np.testing.assert_allclose(model.log_probabilities(np.array([3, END, 6])), -math.log(7), rtol=1e-12)


def test_nothing_to_score_gives_nothing():
    assert fit([1, 2, END], 4, 3).log_probabilities(np.array([], dtype=np.int64)).shape == (0,)


def test_a_vocabulary_whose_cube_exceeds_64_bits():
    vocabulary_size = 3_000_000
    assert vocabulary_size**3 > 2**63
    tokens = [vocabulary_size - 1, vocabulary_size - 2, 5, END] * 2
    held_out = [vocabulary_size - 1, vocabulary_size - 2, 7, 5, END]
    expected = DictionaryOracle(tokens, vocabulary_size, 3).log_probabilities(held_out)
    np.testing.assert_allclose(
        fit(tokens, vocabulary_size, 3).log_probabilities(np.array(held_out)), expected, rtol=1e-12
    )


@pytest.mark.parametrize("tokens", [np.array([1.0]), np.array([[1]]), np.array([-1]), np.array([4])])
def test_what_is_not_a_stream_of_ids_is_refused(tokens):
    with pytest.raises(ValueError, match="token ids"):
        KneserNeyModel.fit(tokens, 4, end_of_document=END)
    with pytest.raises(ValueError, match="token ids"):
        fit([1, 2], 4, 2).log_probabilities(tokens)


def test_an_order_below_one_is_refused():
    with pytest.raises(ValueError, match="at least 1"):
        fit([1], 4, 0)


def english_docstrings() -> list[str]:
    """The documentation of a few modules of the standard library, every text once."""
    texts = {}
    for module in (argparse, ast, inspect, json, decimal, doctest, unittest.mock, pathlib, subprocess, statistics):
        for node in ast.walk(ast.parse(inspect.getsource(module))):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
                texts[ast.get_docstring(node) or ""] = None
    return list(texts)


def test_a_higher_order_is_better_on_held_out_english():
    documents = [[byte + 1 for byte in text.encode()] + [END] for text in english_docstrings()]
    training = np.array(sum((document for i, document in enumerate(documents) if i % 10), []))
    held_out = np.array(sum(documents[::10], []))
    assert len(held_out) > 5_000
    losses = {
        name: -fit(training, 257, order).log_probabilities(held_out).mean() for name, order in BASELINE_ORDERS.items()
    }
    assert losses["unigram"] - 0.3 > losses["bigram"] > losses["trigram"] + 0.3
