"""Triggers are pure functions of where a run stands."""

import dataclasses

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tokenformer.errors import UserError
from tokenformer.growth.triggers import ComplexityTrigger, Progress, ScheduleTrigger

rising = st.lists(st.integers(0, 100), min_size=1, max_size=4, unique=True).map(sorted)
triggers = st.one_of(
    st.builds(ComplexityTrigger, thresholds=rising),
    st.builds(ComplexityTrigger, percentiles=rising),
    st.builds(ScheduleTrigger, steps=rising),
    st.builds(ScheduleTrigger, words=rising),
    st.builds(ScheduleTrigger, tokens=rising),
)
amounts = st.integers(0, 120)
progresses = st.builds(
    Progress, step=amounts, words=amounts, tokens=amounts, complexity=amounts, complexity_percentile=amounts
)


def later(progress: Progress, amount: int) -> Progress:
    return Progress(*(value + amount for value in dataclasses.astuple(progress)))


@settings(deadline=None)
@given(trigger=triggers, progress=progresses, stages=st.integers(0, 5), others=st.lists(progresses, max_size=3))
def test_the_answer_depends_on_the_arguments_alone(trigger, progress, stages, others):
    first = trigger.reason(progress, stages)
    for other in others:
        trigger.reason(other, 0)
    fresh = type(trigger)(**dataclasses.asdict(trigger))
    assert trigger.reason(progress, stages) == first == fresh.reason(dataclasses.replace(progress), stages)


@settings(deadline=None)
@given(trigger=triggers, progress=progresses, stages=st.integers(0, 5), amount=st.integers(0, 50))
def test_once_due_stays_due_and_earlier_stages_are_due_no_later(trigger, progress, stages, amount):
    if trigger.reason(progress, stages) is not None:
        assert trigger.reason(later(progress, amount), stages) is not None
        assert all(trigger.reason(progress, earlier) is not None for earlier in range(stages))


@settings(deadline=None)
@given(trigger=triggers, progress=progresses)
def test_there_are_as_many_events_as_levels(trigger, progress):
    far = later(progress, 1000)
    due = [trigger.reason(far, stages) is not None for stages in range(trigger.events + 2)]
    assert due == [True] * trigger.events + [False, False]


@pytest.mark.parametrize(
    ("trigger", "quantity"),
    [
        (ComplexityTrigger(thresholds=[5, 9]), "complexity"),
        (ComplexityTrigger(percentiles=[5, 9]), "complexity_percentile"),
        (ScheduleTrigger(steps=[5, 9]), "step"),
        (ScheduleTrigger(words=[5, 9]), "words"),
        (ScheduleTrigger(tokens=[5, 9]), "tokens"),
    ],
)
def test_a_level_counts_from_the_moment_it_is_reached(trigger, quantity):
    start = Progress(step=0, words=0.0, tokens=0, complexity=0.0, complexity_percentile=0.0)
    for stage, level in enumerate((5, 9)):
        assert trigger.reason(dataclasses.replace(start, **{quantity: level - 1}), stage) is None
        assert str(level) in trigger.reason(dataclasses.replace(start, **{quantity: level}), stage)


@pytest.mark.parametrize(
    ("kind", "levels"),
    [
        (ComplexityTrigger, {}),
        (ComplexityTrigger, {"thresholds": [1.0], "percentiles": [50.0]}),
        (ComplexityTrigger, {"thresholds": []}),
        (ScheduleTrigger, {}),
        (ScheduleTrigger, {"steps": [1], "words": [1.0]}),
        (ScheduleTrigger, {"steps": [1], "words": [1.0], "tokens": [1.0]}),
    ],
)
def test_exactly_one_list_of_levels_is_asked_for(kind, levels):
    with pytest.raises(UserError, match="give exactly one of ") as caught:
        kind(**levels)
    assert all(field.name in str(caught.value) for field in dataclasses.fields(kind))


@pytest.mark.parametrize("levels", [[2, 1], [1, 1], [1, 3, 2]])
@pytest.mark.parametrize(
    ("kind", "key"), [(ComplexityTrigger, "thresholds"), (ComplexityTrigger, "percentiles"), (ScheduleTrigger, "steps")]
)
def test_levels_must_rise(kind, key, levels):
    with pytest.raises(UserError, match=f"{key} must be a rising list"):
        kind(**{key: levels})
