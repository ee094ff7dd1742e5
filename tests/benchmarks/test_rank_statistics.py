import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

pytest.importorskip("scipy")

from scipy.stats import spearmanr

from benchmarks.measuring.rank_statistics import estimate, partial_spearman, resampled_rows, share_ascending, spearman

values = arrays(np.float64, 30, elements=st.integers(-5, 5).map(float))


@given(values, values)
def test_spearman_is_that_of_scipy(x, y):
    if np.ptp(x) and np.ptp(y):
        assert spearman(x, y) == pytest.approx(spearmanr(x, y).statistic, abs=1e-9)
    else:
        assert spearman(x, y) == 0


def test_what_length_explains_is_taken_out():
    generator = np.random.default_rng(0)
    length, other = generator.normal(size=(2, 3000))
    assert partial_spearman(length, length + other, length) == 0
    assert spearman(length, length + 2 * other) > 0.3
    assert abs(partial_spearman(length + other, length - generator.normal(size=3000), length)) < 0.06
    assert partial_spearman(length + other, length + 2 * other, length) > 0.9


def test_share_of_articles_in_order():
    assert share_ascending(np.array([1, 2, 3]), np.array([2, 2, 4]), np.array([3, 3, 3])) == pytest.approx(1 / 3)


def test_groups_are_drawn_whole_and_the_interval_holds_the_value():
    groups = ["b", "a", "b", "c"]
    rows = resampled_rows(groups, 200)
    for chosen in rows:
        drawn = [groups[row] for row in chosen]
        assert drawn.count("b") % 2 == 0 and drawn.count("a") + drawn.count("b") // 2 + drawn.count("c") == 3
    numbers = np.arange(100.0)
    found = estimate(lambda x: float(x.mean()), [numbers], resampled_rows([str(n) for n in range(100)], 300))
    assert found.low < found.value == 49.5 < found.high and 8 < found.high - found.low < 15
