"""Shares of sources over the run."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.cases import refused
from tokenformer.curriculum.mixture import Mixture
from tokenformer.curriculum.plan import build_plan
from tokenformer.errors import UserError

NAMES = ["code", "novels", "speech"]
POINTS = st.lists(st.floats(0, 1), min_size=1, max_size=3, unique=True).map(sorted)


@st.composite
def shares(draw):
    share = st.floats(0.05, 1)
    sections = {
        name: draw(share) if draw(st.booleans()) else [[point, draw(share)] for point in draw(POINTS)] for name in NAMES
    }
    return sections


def plan_of(mixture, ordering="random", **changes):
    generator = np.random.default_rng(0)
    inputs = {
        "document_tokens": generator.integers(5, 60, 600),
        "document_words": generator.integers(1, 5, 600),
        "document_complexity": generator.normal(10, 2, 600),
        "document_source": np.repeat([0, 1, 2], [100, 200, 300]),
        "source_names": NAMES,
        "source_weights": [1.0, 1.0, 5.0],
        "total_tokens": 24_000,
        "sequence_length": 16,
        "seed": 1,
    }
    return build_plan(**inputs | {"mixture": mixture, "ordering": ordering} | changes)


@settings(max_examples=30)
@given(shares(), st.sampled_from(["random", "easy_to_hard", "paced", "staged", "interleaved", "warm_up"]))
def test_at_every_point_each_source_has_given_its_share(section, ordering):
    """Oracle: shares added up in small steps of progress."""
    plan = plan_of(section, ordering)
    progress = (np.arange(2000) + 0.5) / 2000
    given_shares = []
    for name in NAMES:
        points = [[0, section[name]]] if isinstance(section[name], float) else section[name]
        given_shares.append(np.interp(progress, *zip(*points, strict=True)))
    expected = np.cumsum(np.array(given_shares) / np.sum(given_shares, axis=0), axis=1) / 2000
    tokens = plan.document_tokens[plan.order]
    source = np.repeat([0, 1, 2], [100, 200, 300])[plan.order]
    read = np.cumsum(tokens)
    for number in range(3):
        of_source = np.cumsum(np.where(source == number, tokens, 0))
        due = np.interp(read / read[-1], progress, expected[number]) * read[-1]
        assert np.abs(of_source - due).max() <= 3 * 60


@settings(max_examples=20)
@given(shares())
def test_all_orderings_read_equal_data_of_each_source_in_whole_epochs(section):
    plans = [plan_of(section, ordering) for ordering in ("random", "easy_to_hard", "staged")]
    for plan in plans[1:]:
        np.testing.assert_array_equal(np.sort(plan.order), np.sort(plans[0].order))
    times = np.bincount(plans[0].order, minlength=600)
    for start, end in ((0, 100), (100, 300), (300, 600)):
        assert times[start:end].max() - times[start:end].min() <= 1


def test_a_source_that_comes_in_late_is_not_read_before():
    plan = plan_of({"code": [[0.5, 0], [1, 1]], "novels": 1, "speech": 0})
    is_code = plan.order < 100
    read = np.cumsum(plan.document_tokens[plan.order])
    assert read[np.argmax(is_code)] > 0.5 * read[-1]
    assert not (plan.order >= 300).any()
    # The share of code rises to one half: 0.5 * (1 - ln 2) of the run is code.
    share = plan.document_tokens[plan.order][is_code].sum() / read[-1]
    assert share == pytest.approx(0.5 * (1 - np.log(2)), abs=0.005)


def test_a_budget_in_words_keeps_the_shares_of_tokens():
    plan = plan_of({"code": 0.2, "novels": 0.5, "speech": 0.3}, total_tokens=None, total_words=1500, tokens_per_step=64)
    assert 1500 - 64 < plan.words_before(plan.samples) <= 1500
    source = np.repeat([0, 1, 2], [100, 200, 300])[plan.order]
    tokens = np.bincount(source, plan.document_tokens[plan.order])
    np.testing.assert_allclose(tokens / tokens.sum(), [0.2, 0.5, 0.3], atol=0.02)


def test_weights_of_sources_do_not_count_and_selections_do():
    window = {"name": "complexity_window", "thresholds": [9, None]}
    plan = plan_of({"code": 0.4, "novels": 0.3, "speech": 0.3}, selections=[window])
    assert plan.document_complexity[plan.order].min() >= 9
    assert set(plan.document_weight) == {0, 1}


@refused(
    ({"code": 1, "novels": 1}, "give a share to each source of the corpus, code, novels, speech"),
    ({"code": 1, "novels": 1, "speech": 1, "x": 1}, "give a share to each source"),
    ([1, 2, 3], "give a share to each source"),
    ({"code": -1, "novels": 1, "speech": 1}, "no share be below 0"),
    ({"code": [[0.5, 1], [0.2, 1]], "novels": 1, "speech": 1}, "progress must rise from 0 to 1"),
    ({"code": "half", "novels": 1, "speech": 1}, r"must be a share, or a list of \[progress, share\]"),
    ({"code": 0, "novels": [[0, 1], [1, 0]], "speech": 0}, "at some point of the run all shares are 0"),
)
def test_wrong_shares_are_refused(section):
    Mixture.of(section, NAMES)


def test_domains_in_an_order_and_shares_exclude_each_other():
    with pytest.raises(UserError, match="the ordering 'by_domain' says when each source is read, and so does mixture"):
        plan_of({"code": 1, "novels": 1, "speech": 1}, "by_domain")


def test_a_share_of_nothing_is_refused():
    window = {"name": "complexity_window", "thresholds": [19, None]}
    changes = {"document_complexity": np.repeat([0.0, 20.0, 20.0], [100, 200, 300]), "selections": [window]}
    with pytest.raises(UserError, match="code has a share, and none of its text is selected"):
        plan_of({"code": 1, "novels": 1, "speech": 1}, **changes)


def test_shares_are_part_of_the_fingerprint():
    prints = {plan_of({"code": share, "novels": 1, "speech": 1}).fingerprint for share in (1, 2, 1)}
    assert len(prints) == 2
