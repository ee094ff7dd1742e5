from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.cases import refused
from tokenformer.config.building import build_named
from tokenformer.curriculum import ORDERINGS
from tokenformer.curriculum.copies import Budget, Copies, DocumentTable, choose_copies
from tokenformer.curriculum.orderings.paced import Paced

paced_parameters = st.builds(
    Paced,
    start=st.floats(0, 1),
    end=st.floats(0.01, 1),
    exponent=st.sampled_from([0.5, 1, 2, 3]),
)


@st.composite
def corpora(draw) -> tuple[np.ndarray, np.ndarray]:
    """Tokens and complexity of 1 to 30 documents; some complexities are equal."""
    size = draw(st.integers(1, 30))
    tokens = draw(st.lists(st.integers(1, 50), min_size=size, max_size=size))
    complexity = draw(st.lists(st.integers(0, 20), min_size=size, max_size=size))
    return np.array(tokens), np.array(complexity, dtype=float)


def chosen(corpus, budget: int, seed: int = 0, weight=None) -> Copies:
    tokens, complexity = corpus
    weight = np.ones(tokens.size) if weight is None else np.asarray(weight, dtype=float)
    documents = DocumentTable(tokens, tokens, complexity, np.arange(tokens.size) % 3, ("a", "b", "c"))
    return choose_copies(documents, weight, Budget(budget), np.random.default_rng(seed))


@given(corpora(), st.integers(1, 5000), st.integers(0, 5))
def test_the_budget_is_reached_by_whole_epochs_and_a_part_of_one(corpus, budget, seed):
    copies = chosen(corpus, budget, seed)
    total = corpus[0].sum()
    assert budget <= copies.tokens.sum() < budget + corpus[0].max()
    times = np.bincount(copies.document, minlength=corpus[0].size)
    epochs = copies.tokens.sum() // total
    assert set(times) <= {epochs, epochs + 1}
    assert copies.epoch.max() + 1 == -(-copies.tokens.sum() // total)
    for epoch in range(epochs):
        assert sorted(copies.document[copies.epoch == epoch]) == list(range(corpus[0].size))


def test_a_part_of_an_epoch_is_a_random_subset():
    parts = [set(chosen((np.full(1000, 10), np.arange(1000.0)), 2000, seed).document.tolist()) for seed in (0, 1)]
    assert parts[0] != parts[1]
    assert all(np.mean(list(part)) == pytest.approx(500, abs=100) for part in parts)


@given(corpora(), st.floats(0.05, 3.5), st.integers(0, 3))
def test_weights_multiply_how_often_documents_occur(corpus, weight, seed):
    size = corpus[0].size
    epochs = 4
    copies = chosen(corpus, int(corpus[0].sum() * weight * epochs) + 1, seed, np.full(size, weight))
    whole = copies.epoch < copies.epoch.max()
    times = np.bincount(copies.document[whole], minlength=size)
    expected = copies.epoch.max() * weight
    assert set(times) <= {np.floor(expected), np.ceil(expected)}


def test_weights_are_by_document_and_zero_leaves_out():
    corpus = np.full(1000, 10), np.zeros(1000)
    weight = np.repeat([0, 0.25, 2], [300, 400, 300])
    copies = chosen(corpus, 700 * 10, weight=weight)
    times = np.bincount(copies.document, minlength=1000)
    assert times[:300].sum() == 0
    assert times[300:700].sum() == pytest.approx(100, abs=1) and times[300:700].max() == 1
    assert (times[700:] == 2).all()


@given(corpora(), st.integers(1, 3000), st.integers(0, 3), st.sampled_from(sorted(ORDERINGS)))
def test_orderings_are_permutations_that_the_seed_determines(corpus, budget, seed, name):
    copies = chosen(corpus, budget)
    ordering = ORDERINGS[name]()
    order = ordering.order(copies, np.random.default_rng(seed))
    assert sorted(order) == list(range(copies.document.size))
    np.testing.assert_array_equal(order, ordering.order(copies, np.random.default_rng(seed)))


def test_random_order_shuffles_every_epoch_anew_within_its_bounds():
    copies = chosen((np.full(100, 10), np.zeros(100)), 3000)
    order = ORDERINGS["random"]().order(copies, np.random.default_rng(1))
    np.testing.assert_array_equal(copies.epoch[order], copies.epoch)
    epochs = copies.document[order].reshape(3, 100)
    assert len({tuple(epoch) for epoch in epochs}) == 3


@given(corpora(), st.integers(1, 3000))
def test_easy_to_hard_climbs_in_every_epoch(corpus, budget):
    copies = chosen(corpus, budget)
    order = ORDERINGS["easy_to_hard"]().order(copies, np.random.default_rng(0))
    np.testing.assert_array_equal(copies.epoch[order], copies.epoch)
    climbs = np.diff(copies.complexity[order])[np.diff(copies.epoch[order]) == 0]
    assert (climbs >= 0).all()


def test_equals_are_shuffled():
    copies = chosen((np.full(50, 10), np.zeros(50)), 500)
    orders = {tuple(ORDERINGS["easy_to_hard"]().order(copies, np.random.default_rng(seed)).tolist()) for seed in (0, 1)}
    assert len(orders) == 2


@settings(max_examples=200)
@given(corpora(), st.integers(1, 3000), paced_parameters, st.integers(0, 3))
def test_paced_order_never_reads_above_its_level(corpus, budget, parameters, seed):
    tokens, _ = corpus
    # Different complexities, so that ranks are known from outside.
    complexity = np.random.default_rng(seed).permutation(tokens.size).astype(float)
    whole_epochs = chosen((tokens, complexity), budget, seed)
    copies = whole_epochs.part(whole_epochs.epoch == 0)
    order = parameters.order(copies, np.random.default_rng(seed))

    by_rank = np.argsort(copies.complexity)
    quantile = np.empty(by_rank.size)
    quantile[by_rank] = np.cumsum(copies.tokens[by_rank]) / copies.tokens.sum()
    unread, read = set(range(by_rank.size)), 0
    for copy in order.tolist():
        level = parameters.admitted(read / copies.tokens.sum())
        if quantile[copy] > level + 1e-9:
            assert copy == min(unread, key=lambda other: quantile[other])
        unread.remove(copy)
        read += copies.tokens[copy]
    assert not unread


@given(paced_parameters, st.floats(0, 1))
def test_the_level_rises_from_start_to_one_and_has_an_inverse(parameters, part):
    assert parameters.admitted(np.array(0.0)) == pytest.approx(parameters.start)
    assert parameters.admitted(np.array(parameters.end)) == pytest.approx(1)
    assert parameters.admitted(np.array(1.0)) == 1
    progress = parameters.progress_at(np.array(part))
    assert parameters.admitted(progress) >= part - 1e-9
    if progress > 0:
        assert parameters.admitted(progress * 0.999) <= part + 1e-9


def test_root_pacing_is_ahead_of_linear_pacing():
    progress = np.linspace(0.05, 0.55, 6)
    assert (Paced(exponent=2).admitted(progress) > Paced(exponent=1).admitted(progress)).all()


def test_paced_run_begins_easy_ends_hard_and_keeps_easy_text_in_the_mix():
    generator = np.random.default_rng(0)
    corpus = generator.integers(20, 60, 5000), generator.normal(10, 2, 5000)
    copies = chosen(corpus, int(corpus[0].sum()))
    complexity = copies.complexity[Paced().order(copies, np.random.default_rng(0))]
    first, last = complexity[:500], complexity[-500:]
    assert first.mean() < 10 - 2 and last.mean() > 10 + 1
    assert (last < np.median(corpus[1])).mean() > 0.1


def test_a_pool_that_runs_dry_is_filled_with_the_easiest_document():
    copies = chosen((np.full(10, 100), np.arange(10.0)), 1000)
    order = Paced(start=0, end=1, exponent=0.1).order(copies, np.random.default_rng(0))
    assert copies.complexity[order].tolist() == list(range(10))


def test_draws_from_the_pool_are_uniform():
    copies = chosen((np.full(4, 10), np.arange(4.0)), 40)
    firsts = Counter(Paced(start=1).order(copies, np.random.default_rng(seed))[0] for seed in range(2000))
    expected, deviation = 500, np.sqrt(2000 * 0.25 * 0.75)
    assert all(abs(firsts[copy] - expected) < 5 * deviation for copy in range(4))


@refused(
    ("spiral", {}, "no ordering 'spiral'; choose one of random, easy_to_hard, hard_to_easy, paced"),
    ("random", {"start": 0.1}, "ordering 'random': the key start is not known; there are none here"),
    ("paced", {"strat": 0.1}, r"ordering 'paced': the key strat is not known; did you mean start\?"),
    ("paced", {"start": 2}, "start is 2.0; it must be 0 or more and at most 1"),
    ("paced", {"end": 0}, "end is 0.0; it must be above 0 and at most 1"),
    ("paced", {"end": float("nan")}, "end is nan; it must be a finite number, above 0"),
    ("paced", {"exponent": "linear"}, "exponent is 'linear'; it must be of type float"),
    ("paced", {"start": True}, "start is True; it must be of type float"),
)
def test_wrong_orderings_and_parameters_are_refused(name, values):
    build_named({"name": name, **values}, ORDERINGS)
