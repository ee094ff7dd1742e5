"""Measures of a language model, with a model that is a formula: a token is a word and costs its letters."""

import numpy as np
import pytest

from tokenformer.complexity import score
from tokenformer.errors import UserError


def spelled(texts):
    """Nats and tokens of texts."""
    words = [text.split() for text in texts]
    return np.array([sum(map(len, each)) for each in words], float), np.array([len(each) for each in words])


def half(texts):
    nats, tokens = spelled(texts)
    return nats / 2, tokens


TEXTS = ["a bb ccc", "dddd", "", " \n\n ", "a\n\nbbb ccccc\n\n"]


def test_perplexity_is_the_loss_a_token():
    np.testing.assert_allclose(score(TEXTS, "en", "perplexity", model=spelled), [2, 4, 0, 0, 3])


def test_the_gap_is_what_the_weak_model_loses_more():
    np.testing.assert_allclose(score(TEXTS, "code", "loss_gap", weak=spelled, strong=half), [1, 2, 0, 0, 1.5])
    np.testing.assert_allclose(score(TEXTS, "sv", "loss_gap", weak=half, strong=half), np.zeros(5))


def test_a_doubled_text_keeps_its_value():
    seen = []

    def remembering(texts):
        seen.extend(texts)
        return spelled(texts)

    once, twice = score(["a bb\n\nccc", "a bb\n\nccc\n\na bb\n\nccc"], "en", "perplexity", model=remembering)
    assert once == twice
    assert seen == ["a bb", "ccc"] * 3, "the model reads paragraph by paragraph"


def test_models_must_be_given():
    with pytest.raises(UserError, match="'perplexity' needs a reference model.*option reference"):
        score(TEXTS, "en", "perplexity")
    for given in ({}, {"weak": half}, {"strong": half}):
        with pytest.raises(UserError, match="'loss_gap' needs two models"):
            score(TEXTS, "en", "loss_gap", **given)
