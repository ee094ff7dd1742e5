"""The statistics against scipy, against oracles, and against made-up data whose truth is known."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from tokenformer.errors import UserError
from tokenformer.experiments.statistics import (
    DocumentLosses,
    benchmark_interval,
    bootstrap_interval,
    detectable_effect,
    equivalence,
    holm,
    paired,
)

GRIDS = 2000
TOLERATED = 4 * math.sqrt(0.05 * 0.95 / GRIDS)
"""Four standard errors of a share of 5 % in so many grids."""


def two_arms(generator: np.random.Generator, n: int, effect: float) -> tuple[dict[int, float], dict[int, float]]:
    shared = generator.normal(0, 0.02, n)
    second = 4.2 + shared + generator.normal(0, 0.006, n)
    first = 4.2 + effect + shared + generator.normal(0, 0.006, n)
    return dict(enumerate(first.tolist())), dict(enumerate(second.tolist()))


@settings(max_examples=50)
@given(seed=st.integers(0, 10_000), n=st.integers(2, 10))
def test_the_paired_difference_is_that_of_scipy(seed, n):
    first, second = two_arms(np.random.default_rng(seed), n, -0.01)
    found = paired(first, second)
    test = stats.ttest_rel(list(first.values()), list(second.values()))
    interval = test.confidence_interval(0.95)
    assert (found.n, found.p) == (n, pytest.approx(test.pvalue))
    assert (found.low, found.high) == (pytest.approx(interval.low), pytest.approx(interval.high))
    assert found.mean == pytest.approx(np.mean([first[key] - second[key] for key in first]))


def test_only_common_seeds_are_paired():
    found = paired({1: 4.0, 2: 4.1, 5: 9.0}, {2: 4.0, 1: 4.05, 3: 1.0})
    assert found.differences == {1: pytest.approx(-0.05), 2: pytest.approx(0.1)}
    assert paired({1: 4.0}, {1: 4.5}).p is None
    assert paired({1: 1.0, 2: 1.0}, {1: 1.0, 2: 1.0}).p == 1.0
    with pytest.raises(UserError, match="no seed in common"):
        paired({1: 4.0}, {2: 4.0})


@settings(max_examples=100)
@given(p_values=st.lists(st.floats(0.001, 1), min_size=1, max_size=5))
def test_holm_is_the_closed_test_of_bonferroni(p_values):
    """A hypothesis is rejected exactly when Bonferroni rejects every set of hypotheses that it belongs to."""
    corrected = holm(p_values)
    for index, value in enumerate(corrected):
        sets = [
            [p_values[other] for other in range(len(p_values)) if mask >> other & 1]
            for mask in range(1, 2 ** len(p_values))
            if mask >> index & 1
        ]
        assert value == pytest.approx(max(min(1.0, len(each) * min(each)) for each in sets))


def test_coverage_and_false_positives_where_nothing_differs():
    generator = np.random.default_rng(0)
    found = [paired(*two_arms(generator, 6, 0.0)) for _ in range(GRIDS)]
    assert np.mean([each.p < 0.05 for each in found]) == pytest.approx(0.05, abs=TOLERATED)
    assert np.mean([each.low <= 0 <= each.high for each in found]) == pytest.approx(0.95, abs=TOLERATED)
    families = np.array([each.p for each in found]).reshape(-1, 4)
    share = np.mean([min(holm(family.tolist())) < 0.05 for family in families])
    assert share < 0.05 + 2 * TOLERATED


def test_a_known_effect_is_covered_and_found_as_often_as_promised():
    generator, deviation = np.random.default_rng(1), 0.006 * math.sqrt(2)
    effect = detectable_effect(6, deviation)
    found = [paired(*two_arms(generator, 6, -effect)) for _ in range(GRIDS)]
    assert np.mean([each.low <= -effect <= each.high for each in found]) == pytest.approx(0.95, abs=TOLERATED)
    assert np.mean([each.p < 0.05 for each in found]) == pytest.approx(0.8, abs=0.04)


def test_detectable_effects_are_those_of_the_power_table():
    """In standard deviations of the difference: simulated for the design of the experiments, 80 % power."""
    table = {3: (3.27, 5.67), 4: (2.12, 3.13), 5: (1.68, 2.30), 6: (1.43, 1.88), 8: (1.16, 1.45), 10: (1.00, 1.22)}
    for n, (plain, corrected) in table.items():
        assert detectable_effect(n, 1.0) == pytest.approx(plain, rel=0.02)
        assert detectable_effect(n, 1.0, 0.05 / 3) == pytest.approx(corrected, rel=0.02)
    assert detectable_effect(1, 1.0) is None
    assert detectable_effect(2, 1.0) > 8


def test_equivalence_errs_at_its_rate_at_the_margin():
    generator = np.random.default_rng(2)
    at_margin = [equivalence(paired(*two_arms(generator, 6, 0.02)), 0.02) for _ in range(GRIDS)]
    assert np.mean(np.array(at_margin) < 0.05) == pytest.approx(0.05, abs=TOLERATED)
    inside = [equivalence(paired(*two_arms(generator, 6, 0.0)), 0.02) for _ in range(200)]
    assert np.mean(np.array(inside) < 0.05) > 0.9
    assert equivalence(paired({1: 1.0}, {1: 1.0}), 0.02) is None
    assert equivalence(paired({1: 1.0, 2: 1.0}, {1: 1.0, 2: 1.0}), 0.02) == 0.0


def test_the_bootstrap_covers_over_seeds_and_documents():
    """With many seeds its percentiles are wide enough: 95 % intervals hold the truth about that often."""
    generator, source = np.random.default_rng(3), np.arange(60) % 2
    tokens, covered = np.full(60, 100.0), []
    for _ in range(60):
        of_document, of_seed = generator.normal(0, 2, 60), generator.normal(0, 1, (12, 1))
        difference = -3 + of_document + of_seed + generator.normal(0, 1, (12, 60))
        second = 400 + generator.normal(0, 20, (12, 60))
        sides = [DocumentLosses(nats, tokens, source) for nats in (second + difference, second)]
        low, high = bootstrap_interval(*sides, draws=200)
        covered.append(low <= -0.03 <= high)
    assert np.mean(covered) > 0.85


def test_benchmarks_are_drawn_over_items_and_seeds():
    generator = np.random.default_rng(4)
    first, second = (generator.random((6, 500)) < share for share in (0.7, 0.6))
    low, high = benchmark_interval(first.astype(float), second.astype(float), draws=400)
    assert low < 0.1 < high and low > 0
    low, high = benchmark_interval(second.astype(float), second.astype(float), draws=10)
    assert low == high == 0
