"""`keep_neighbours`: each source in the order of its files, and the curriculum as it was."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tokenformer.curriculum.levels import with_neighbours_kept
from tokenformer.curriculum.plan import build_plan


def plan_of(seed: int, keep: int | None, ordering: str = "paced", epochs: float = 1.0):
    random = np.random.default_rng(seed)
    tokens = random.integers(20, 60, size=200)
    return build_plan(
        document_tokens=tokens,
        document_words=tokens,
        document_complexity=random.normal(size=200),
        document_source=random.integers(3, size=200),
        source_weights=[1, 1, 1],
        sequence_length=16,
        ordering=ordering,
        total_tokens=int(epochs * tokens.sum()) - 20,
        seed=seed,
        keep_neighbours=keep,
    )


@settings(max_examples=60)
@given(seed=st.integers(0, 999), levels=st.integers(1, 9), reads=st.integers(1, 120))
def test_only_texts_of_one_source_and_level_change_places(seed, levels, reads):
    random = np.random.default_rng(seed)
    complexity, source = random.permutation(60).astype(float), random.integers(4, size=60)
    order = random.integers(60, size=reads)
    kept = with_neighbours_kept(order, np.ones(60, np.int64), complexity, source, levels)
    assert sorted(kept) == sorted(order)
    assert np.array_equal(source[kept], source[order])
    if levels == 1 and len(set(order.tolist())) == reads:
        for each in range(4):
            documents = kept[source[kept] == each]
            assert np.all(np.diff(documents) > 0)


@pytest.mark.parametrize("ordering", ["random", "paced", "staged", "easy_to_hard"])
def test_the_curriculum_stays_within_a_level(ordering):
    free, kept = plan_of(1, None, ordering), plan_of(1, 20, ordering)
    assert sorted(free.order) == sorted(kept.order)
    assert free.fingerprint != kept.fingerprint
    rank = np.argsort(np.argsort(free.document_complexity))
    assert np.abs(rank[free.order] - rank[kept.order]).max() <= 2 * 200 / 20
    # Neighbours of one source follow each other more often.
    assert _steps_forward(kept, 20) == 1.0 > _steps_forward(free, 20)


def _steps_forward(plan, levels: int) -> float:
    """Share of the steps from a text to the next one of its source and level that go forward in the file."""
    rank = np.argsort(np.argsort(plan.document_complexity, kind="stable"), kind="stable")
    cumulative = np.cumsum(plan.document_tokens[np.argsort(rank)])[rank]
    level = np.searchsorted(np.arange(1, levels) / levels * cumulative.max(), cumulative)
    random = np.random.default_rng(1)
    random.integers(20, 60, size=200), random.normal(size=200)
    source = random.integers(3, size=200)
    last, forward = {}, []
    for document in plan.order.tolist():
        key = source[document], level[document]
        if key in last:
            forward.append(document > last[key])
        last[key] = document
    return float(np.mean(forward))


def test_the_second_reading_follows_the_first():
    order = np.array([2, 1, 2, 0, 1, 0])
    kept = with_neighbours_kept(order, np.ones(3, np.int64), np.zeros(3), np.zeros(3, np.int64), 1)
    assert kept.tolist() == [0, 1, 2, 0, 1, 2]
