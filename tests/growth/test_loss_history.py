"""The losses that triggers read: the newest points of windows of steps, whole after a checkpoint."""

import dataclasses
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenformer.growth.triggers import LossHistory, LossNeed, LossPoint

finite = st.floats(-1e6, 1e6)
needs = st.lists(
    st.one_of(
        st.builds(LossNeed, st.just("training"), st.integers(1, 5), st.integers(1, 4)),
        st.builds(LossNeed, st.just("validation"), st.just(1), st.integers(1, 4)),
    ),
    max_size=4,
)


def filled(needs, losses, events=()):
    """A history after training and validation at every step; FLOPs are ten times the step."""
    history = LossHistory.of(needs)
    for step, loss in enumerate(losses, start=1):
        past = [event for event in events if event < step]
        for source in ("training", "validation"):
            history = history.with_loss(source, step, 10.0 * step, loss, past)
    return history


@given(needs=needs, losses=st.lists(finite, max_size=30), events=st.lists(st.integers(0, 30), unique=True).map(sorted))
def test_points_are_the_means_of_windows_within_a_stage(needs, losses, events):
    """Oracle: cut the losses at the events, and every piece into windows; what is left at the end of one is lost."""
    history = filled(needs, losses, events)
    bounds = [0, *(event for event in events if event < len(losses)), len(losses)]
    for need in needs:
        points = []
        for begin, end in zip(bounds, bounds[1:], strict=False):
            for step in range(begin + need.window, end + 1, need.window):
                points.append((step, 10.0 * step, np.mean(losses[step - need.window : step])))
        found = [dataclasses.astuple(point) for point in history.newest(need)]
        assert np.array(found) == pytest.approx(np.array(points[-need.points :]), abs=1e-6)


@given(needs=needs, losses=st.lists(finite, max_size=30))
def test_no_more_is_kept_than_is_read(needs, losses):
    history = filled(needs, losses)
    for series in history.series:
        wanted = [need.points for need in needs if (need.source, need.window) == (series.source, series.window)]
        assert len(series.points) <= series.capacity == max(wanted)
    assert {(series.source, series.window) for series in history.series} == {(n.source, n.window) for n in needs}


@given(needs=needs, losses=st.lists(st.floats(allow_infinity=False, allow_nan=False), max_size=12))
def test_a_record_is_the_history_to_the_last_bit(needs, losses):
    history = filled(needs, losses)
    assert LossHistory.from_record(json.loads(json.dumps(dataclasses.asdict(history)))) == history


def test_losses_that_nobody_reads_are_not_kept():
    history = LossHistory.of([LossNeed("validation", 1, 3)])
    assert history.reads("validation") and not history.reads("training")
    assert history.with_loss("training", 1, 1.0, 5.0, []) == history
    assert history.newest(LossNeed("training", 1, 3)) == ()


def test_a_window_is_begun_anew_where_the_model_grows():
    history = filled([LossNeed("training", 3, 9)], range(1, 10), events=[4])
    assert history.series[0].points == (LossPoint(3, 30.0, 2.0), LossPoint(7, 70.0, 6.0))
    assert (history.series[0].total, history.series[0].count) == (17.0, 2)


def test_a_history_fits_those_of_the_same_trigger_alone():
    history = LossHistory.of([LossNeed("training", 3, 9)])
    assert history.fits(filled([LossNeed("training", 3, 9)], range(9)))
    for other in ([], [LossNeed("training", 2, 9)], [LossNeed("training", 3, 8)], [LossNeed("validation", 3, 9)]):
        assert not history.fits(LossHistory.of(other))
