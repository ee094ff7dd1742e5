"""The plan against an expansion of the stream, token by token."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tests.support.cases import cases, refused
from tokenformer.curriculum import ORDERINGS
from tokenformer.curriculum.plan import SamplePlan, build_plan
from tokenformer.errors import UserError


@st.composite
def plan_inputs(draw) -> dict:
    size = draw(st.integers(1, 20))
    tokens = draw(st.lists(st.integers(1, 40), min_size=size, max_size=size))
    length = draw(st.integers(1, 30))
    sources = draw(st.lists(st.integers(0, 2), min_size=size, max_size=size))
    weights = draw(st.lists(st.sampled_from([0, 0.3, 0.5, 1, 1.7, 3]), min_size=3, max_size=3))
    assume(any(weights[source] for source in sources))
    return {
        "document_tokens": np.array(tokens),
        "document_words": np.array([draw(st.integers(0, count)) for count in tokens]),
        "document_complexity": np.array(draw(st.lists(st.floats(-20, 20), min_size=size, max_size=size))),
        "document_source": np.array(sources),
        "source_weights": weights,
        "total_tokens": draw(st.integers(length, 400)),
        "sequence_length": length,
        "ordering": draw(st.sampled_from(sorted(ORDERINGS))),
        "seed": draw(st.integers(0, 3)),
    }


def example_inputs(**changes) -> dict:
    generator = np.random.default_rng(0)
    inputs = {
        "document_tokens": generator.integers(5, 60, 200),
        "document_words": generator.integers(4, 40, 200),
        "document_complexity": generator.normal(10, 2, 200),
        "document_source": np.repeat([0, 1], 100),
        "source_weights": [1.0, 0.5],
        "total_tokens": 12_000,
        "sequence_length": 16,
        "ordering": "paced",
        "parameters": {"start": 0.3},
        "seed": 1,
    }
    return inputs | changes


def expanded(plan: SamplePlan, per_token: np.ndarray) -> np.ndarray:
    """The value of its document at every token of the stream."""
    return np.repeat(per_token[plan.order], plan.document_tokens[plan.order])


@given(plan_inputs())
def test_samples_and_words_equal_an_expansion_of_the_stream(inputs):
    plan = build_plan(**inputs)
    length = plan.sequence_length
    assert plan.samples == inputs["total_tokens"] // length
    stream = expanded(plan, plan.document_complexity)
    assert stream.size >= plan.samples * length + 1
    assert plan.document_starts[-1] == stream.size
    by_hand = [stream[start : start + length].mean() for start in range(0, plan.samples * length, length)]
    np.testing.assert_allclose(plan.sample_complexity, by_hand, rtol=1e-9, atol=1e-9)

    word_density = expanded(plan, plan.document_words / plan.document_tokens)
    words = [word_density[: index * length].sum() for index in range(plan.samples + 1)]
    np.testing.assert_allclose(plan.words_before(np.arange(plan.samples + 1)), words, rtol=1e-9, atol=1e-9)
    assert plan.words_before(plan.samples) == pytest.approx(words[-1])


@given(plan_inputs())
def test_all_orderings_read_equal_data(inputs):
    plans = [build_plan(**inputs | {"ordering": ordering}) for ordering in ORDERINGS]
    for plan in plans[1:]:
        np.testing.assert_array_equal(np.sort(plan.order), np.sort(plans[0].order))
        assert plan.epochs == plans[0].epochs
        assert plan.unique_words == plans[0].unique_words


@given(plan_inputs())
def test_documents_counted_once(inputs):
    plan = build_plan(**inputs)
    different = sorted(set(plan.order.tolist()))
    assert plan.unique_documents == len(different)
    assert plan.unique_words == sum(plan.document_words[index] for index in different)


def test_epochs_are_of_the_weighted_corpus():
    inputs = example_inputs(ordering="random", parameters=None)
    one_epoch = inputs["document_tokens"][:100].sum() + inputs["document_tokens"][100:].sum() / 2
    plan = build_plan(**inputs)
    assert plan.epochs == pytest.approx(12_000 / one_epoch)


@given(plan_inputs())
def test_a_plan_is_a_pure_function(inputs):
    plan, again = build_plan(**inputs), build_plan(**inputs)
    np.testing.assert_array_equal(plan.order, again.order)
    assert plan.fingerprint == again.fingerprint


@cases(
    {"document_tokens": np.full(200, 31)},
    {"document_words": np.full(200, 7)},
    {"document_complexity": np.arange(200.0)},
    {"source_weights": [1.0, 0.75]},
    {"total_tokens": 12_001},
    {"sequence_length": 17},
    {"ordering": "random", "parameters": None},
    {"parameters": {"start": 0.31}},
    {"seed": 2},
    {"selections": [{"name": "prune", "tail": 0.1}]},
    {"mixture": {"source 0": 1, "source 1": 1}},
    ids=lambda changes: next(iter(changes)),
)
def test_any_change_of_the_input_changes_the_fingerprint(changes):
    assert build_plan(**example_inputs()).fingerprint != build_plan(**example_inputs(**changes)).fingerprint


def test_the_seed_is_part_of_the_fingerprint_even_where_it_changes_nothing():
    inputs = {name: np.array([64]) for name in ("document_tokens", "document_words", "document_complexity")}
    settings = {"total_tokens": 32, "sequence_length": 16, "ordering": "random"}
    prints = {build_plan(**inputs, **settings, seed=seed).fingerprint for seed in (0, 1)}
    assert len(prints) == 2


def test_smoothed_complexity_is_a_bias_corrected_moving_average():
    plan = build_plan(**example_inputs())
    batch, smoothing = 7, 0.9
    smoothed = plan.smoothed_complexity(batch, smoothing)
    assert smoothed.size == plan.samples // batch
    average = 0.0
    for step, value in enumerate(smoothed, start=1):
        mean = plan.sample_complexity[(step - 1) * batch : step * batch].mean()
        average = smoothing * average + (1 - smoothing) * mean
        assert value == pytest.approx(average / (1 - smoothing**step), rel=1e-12)


def test_without_smoothing_it_is_the_mean_of_the_batch():
    plan = build_plan(**example_inputs())
    np.testing.assert_allclose(plan.smoothed_complexity(1, 0), plan.sample_complexity, rtol=1e-12)
    assert plan.smoothed_complexity(plan.samples + 1, 0.5).size == 0


def test_a_paced_plan_rises():
    plan = build_plan(**example_inputs(source_weights=[1, 1]))
    tenth = plan.samples // 10
    assert plan.sample_complexity[:tenth].mean() + 1 < plan.sample_complexity[-tenth:].mean()


def test_words_before_has_bounds():
    plan = build_plan(**example_inputs())
    assert plan.words_before(0) == 0
    for index in (-1, plan.samples + 1):
        with pytest.raises(IndexError):
            plan.words_before(index)


@refused(
    ({"total_tokens": 15}, "a run of 15 tokens has no sample of 16 tokens"),
    ({"sequence_length": 0}, "has no sample of 0 tokens"),
    ({"document_complexity": np.full(200, np.nan)}, "200 of 200 documents have no finite complexity"),
    ({"document_tokens": np.zeros(200, int)}, "document 0 has no tokens"),
    ({"source_weights": [0, 0]}, "nothing to train on"),
    ({"source_weights": [1, -1]}, "not negative"),
    ({"source_weights": [1e-9, 0]}, "more than 100000 times"),
    ({"source_weights": [1, float("inf")]}, "finite"),
    ({"ordering": "pacd"}, "no ordering 'pacd'"),
    ({"parameters": {"stop": 1}}, "ordering 'paced': the key stop is not known"),
    ({"seed": -1}, "seed"),
    ({"seed": 0.5}, "seed"),
)
def test_wrong_input_is_refused(changes):
    build_plan(**example_inputs(**changes))


def test_an_empty_corpus_is_refused():
    nothing = np.empty(0)
    with pytest.raises(UserError, match="no documents"):
        build_plan(
            document_tokens=nothing,
            document_words=nothing,
            document_complexity=nothing,
            total_tokens=10,
            sequence_length=5,
            ordering="random",
        )
