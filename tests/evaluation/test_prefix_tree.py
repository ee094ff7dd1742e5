"""Plans: whatever the packing, every request gets the sum over its own tokens, each after all that stand before it."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tokenformer.evaluation.prefix_tree import Batch, ScoringPlan
from tokenformer.evaluation.requests import Request

TOKENS = st.lists(st.integers(0, 3), min_size=2, max_size=9)


@st.composite
def requests(draw):
    texts = draw(st.lists(TOKENS, min_size=1, max_size=12))
    return [Request(tuple(text), draw(st.integers(1, len(text) - 1))) for text in texts]


def value(prefix: tuple[int, ...], target: int) -> float:
    """Some number that depends on every token of the prefix and on its length."""
    return -float(hash((prefix, target)) % 1000003) / 1e4


def prefix_in(batch: Batch, row: int, node: int) -> tuple[int, ...]:
    """The tokens up to a node, found by its parents."""
    found = []
    while node >= 0:
        found.append(int(batch.ids[row, node]))
        node = int(batch.parents[row, node])
    return tuple(reversed(found))


def answered(plan: ScoringPlan) -> list[float]:
    values = np.full(plan.size, np.nan)
    for batch in plan.batches:
        for row, node, target, slot in zip(batch.rows, batch.nodes, batch.targets, batch.slots, strict=True):
            assert math.isnan(values[slot]), "no slot is answered twice"
            values[slot] = value(prefix_in(batch, row, node), int(target))
    return plan.sums(values)


@settings(max_examples=60)
@given(requests(), st.booleans(), st.sampled_from([None, 1, 7]), st.sampled_from([1, 4]))
def test_sums_are_those_of_each_text_alone(asked, share, batch_size, multiple):
    plan = ScoringPlan(asked, share, batch_size, tokens=20, multiple=multiple)
    expected = [
        math.fsum(value(r.tokens[:p], r.tokens[p]) for p in range(len(r.tokens) - r.scored, len(r.tokens)))
        for r in asked
    ]
    assert answered(plan) == expected
    assert all(batch.ids.shape[1] % multiple == 0 for batch in plan.batches)
    assert batch_size is None or all(len(batch.ids) <= batch_size for batch in plan.batches)


@settings(max_examples=40)
@given(requests())
def test_in_one_row_every_prefix_is_read_once(asked):
    prefixes = {r.tokens[:length] for r in asked for length in range(1, len(r.tokens))}
    assert ScoringPlan(asked, share_prefixes=True).tokens == len(prefixes)


@settings(max_examples=40)
@given(requests())
def test_a_node_attends_to_its_own_prefix_at_its_own_position(asked):
    (batch,) = ScoringPlan(asked, share_prefixes=True, batch_size=1).batches
    mask = batch.ancestors()
    for node in np.unique(batch.nodes):
        seen = np.flatnonzero(mask[0, node])
        assert tuple(batch.ids[0, seen]) == prefix_in(batch, 0, node)
        assert batch.depths[0, seen].tolist() == list(range(len(seen)))


def test_without_sharing_each_distinct_text_is_a_row():
    texts = [(1, 2, 3), (1, 2, 4, 5), (1, 2, 3), (1, 2)]
    plan = ScoringPlan([Request(text, 1) for text in texts], batch_size=100)
    (batch,) = plan.batches
    assert {tuple(row) for row in batch.ids.tolist()} == {(1, 2, 4), (1, 2, 0), (1, 0, 0)}
    assert {tuple(row) for row in batch.parents.tolist()} == {(-1, 0, 1), (-1, 0, -1), (-1, -1, -1)}


def test_of_a_context_only_what_follows_is_asked():
    plan = ScoringPlan([Request((1, 2, 3, 4, 5), 2), Request((1, 2, 3, 6), 1)], share_prefixes=True)
    assert plan.size == 3


@pytest.mark.parametrize("share", [True, False])
def test_no_requests_are_no_batches(share):
    plan = ScoringPlan([], share)
    assert (plan.batches, plan.sums(np.zeros(0))) == ([], [])
