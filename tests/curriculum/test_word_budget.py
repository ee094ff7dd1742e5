"""Budgets in words, epochs that are bounded, and the ladder of checkpoints."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.cases import cases
from tokenformer.curriculum import ORDERINGS
from tokenformer.curriculum.budget import ladder_rungs, ladder_steps, number_of_words
from tokenformer.curriculum.plan import build_plan
from tokenformer.errors import UserError

MILLION = 10**6


def plan_of(words: int, **changes):
    generator = np.random.default_rng(0)
    inputs = {
        "document_tokens": generator.integers(5, 60, 300),
        "document_words": generator.integers(1, 5, 300),
        "document_complexity": generator.normal(10, 2, 300),
        "sequence_length": 16,
        "tokens_per_step": 64,
        "total_words": words,
        "ordering": "random",
    }
    return build_plan(**inputs | changes)


@settings(max_examples=40)
@given(st.integers(50, 3000), st.integers(0, 3), st.sampled_from(sorted(ORDERINGS)))
def test_a_budget_is_not_exceeded_and_missed_by_less_than_a_step_and_a_document(words, seed, ordering):
    plan = plan_of(words, seed=seed, ordering=ordering)
    assert plan.samples % 4 == 0
    # A step of 64 tokens has fewer than 64 words here, and a document at most 4.
    assert words - 68 <= plan.words_before(plan.samples) <= words
    once = plan_of(words, seed=seed)
    np.testing.assert_array_equal(np.sort(plan.order), np.sort(once.order))
    assert plan.samples == once.samples


def test_ten_epochs_are_ten_times_the_unique_words():
    unique = int(plan_of(100).document_words.sum())
    plan = plan_of(10 * unique, maximum_epochs=10)
    assert (np.bincount(plan.order) == 10).all()
    assert plan.unique_words == unique and plan.epochs == pytest.approx(10, abs=0.02)
    with pytest.raises(UserError, match=rf"max_epochs 10 times the {unique} unique words .* at most {10 * unique:,}"):
        plan_of(10 * unique + 1, maximum_epochs=10)


@cases(
    {"document_source": np.repeat([0, 1], [20, 280]), "source_weights": [5.0, 1.0]},
    {"document_source": np.repeat([0, 1], [20, 280]), "source_weights": [1.0, 1.0], "mixture": {"a": 1, "b": 1}},
    ids=["weights", "shares"],
)
def test_epochs_are_bounded_for_every_source(changes):
    changes |= {"source_names": ["a", "b"]}
    plan = plan_of(700, **changes)
    times = np.bincount(plan.order, minlength=300).max()
    assert plan_of(700, **changes, maximum_epochs=int(times)).fingerprint == plan.fingerprint
    with pytest.raises(UserError, match=rf"source a would be read up to {times} times, and max_epochs is {times - 1}"):
        plan_of(700, **changes, maximum_epochs=int(times) - 1)


def test_tokens_may_be_bounded_too():
    with pytest.raises(UserError, match="would be read up to 2 times, and max_epochs is 1"):
        plan_of(0, total_words=None, total_tokens=12_000, maximum_epochs=1)


def test_a_budget_of_less_than_a_step_or_of_text_without_words_is_refused():
    with pytest.raises(UserError, match="2 words are less than a step of 64 tokens"):
        plan_of(2)
    with pytest.raises(UserError, match="more than 100000 times"):
        plan_of(2, document_words=np.zeros(300, np.int64))


@cases(
    (5, 5),
    (1e7, 10**7),
    ("10M", 10**7),
    ("250k", 250_000),
    ("1.5B", 1_500_000_000),
    ("10_000", 10_000),
    ("0.1M", 100_000),
)
def test_numbers_of_words_are_read(value, words):
    assert number_of_words(value, "words") == words


@pytest.mark.parametrize("value", [0, -1, 1.5, True, "10 M", "M", "1e3", "", None, [1], float("nan"), float("inf")])
def test_other_numbers_are_refused(value):
    with pytest.raises(UserError, match="budget must be a number of words, such as 10_000_000 or 10M"):
        number_of_words(value, "budget")


def test_the_ladder_is_that_of_babylm():
    rungs = [rung // MILLION for rung in ladder_rungs(1000 * MILLION)]
    assert rungs == [*range(1, 10), *range(10, 100, 10), *range(100, 1001, 100)]
    assert ladder_rungs(999_999) == [] and ladder_rungs(10 * MILLION)[-1] == 10 * MILLION


@given(st.lists(st.floats(1, 4 * MILLION), min_size=1, max_size=40))
def test_a_rung_is_the_first_step_that_reaches_it(increments):
    words = np.concatenate([[0], np.cumsum(increments)])
    steps = ladder_steps(words)
    for rung in ladder_rungs(words[-1]):
        first = next(step for step in range(words.size) if words[step] >= rung)
        assert steps[first] >= rung and ladder_rungs(words[first])[-1] <= steps[first]
    for step, rung in steps.items():
        assert words[step] >= rung or (step == words.size - 1 and rung - words[-1] <= words[-1] / step)


def test_a_budget_that_whole_steps_do_not_quite_fill_gets_its_rung():
    words = np.linspace(0, 1_999_000, 201)
    assert ladder_steps(words) == {101: MILLION, 200: 2 * MILLION}
