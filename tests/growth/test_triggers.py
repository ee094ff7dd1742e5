"""Triggers by levels are pure functions of where a run stands."""

import copy
import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.cases import cases
from tests.support.growth.simulated_run import complexities, schedules
from tokenformer.errors import UserError
from tokenformer.growth.triggers import ComplexityTrigger, LossHistory, Progress, ScheduleTrigger

NO_LOSSES = LossHistory()
triggers = st.one_of(schedules, complexities)
amounts = st.integers(0, 24)
progresses = st.builds(
    Progress,
    step=amounts,
    words=amounts,
    tokens=amounts,
    complexity=amounts,
    complexity_percentile=amounts,
    admitted=amounts,
    flops=amounts.map(lambda amount: 1e13 * amount),
)
event_steps = st.lists(amounts, max_size=4, unique=True).map(sorted)


def later(progress: Progress, amount: int) -> Progress:
    values = dataclasses.asdict(progress)
    return Progress(**{key: value + amount * (1e13 if key == "flops" else 1) for key, value in values.items()})


@given(trigger=triggers, progress=progresses, events=event_steps, others=st.lists(progresses, max_size=3))
def test_the_answer_depends_on_the_arguments_alone(trigger, progress, events, others):
    first = trigger.reason(progress, events, NO_LOSSES)
    for other in others:
        trigger.reason(other, [], NO_LOSSES)
    fresh = copy.deepcopy(trigger)
    assert trigger.reason(progress, events, NO_LOSSES) == first
    assert fresh.reason(dataclasses.replace(progress), tuple(events), NO_LOSSES) == first


@given(trigger=triggers, progress=progresses, events=event_steps, amount=st.integers(0, 50))
def test_once_due_stays_due_and_earlier_stages_are_due_no_later(trigger, progress, events, amount):
    if trigger.reason(progress, events, NO_LOSSES) is not None:
        assert trigger.reason(later(progress, amount), events, NO_LOSSES) is not None
        assert all(trigger.reason(progress, events[:count], NO_LOSSES) is not None for count in range(len(events)))


@given(trigger=triggers, progress=progresses)
def test_there_are_as_many_events_as_levels(trigger, progress):
    far = later(progress, 1000)
    due = [trigger.reason(far, range(stages), NO_LOSSES) is not None for stages in range(trigger.events + 2)]
    assert due == [True] * trigger.events + [False, False]


@cases(
    (ComplexityTrigger(thresholds=[5, 9]), "complexity"),
    (ComplexityTrigger(percentiles=[5, 9]), "complexity_percentile"),
    (ComplexityTrigger(admitted=[5, 9]), "admitted"),
    (ScheduleTrigger(steps=[5, 9]), "step"),
    (ScheduleTrigger(words=[5, 9]), "words"),
    (ScheduleTrigger(tokens=[5, 9]), "tokens"),
    (ScheduleTrigger(flops=[5, 9]), "flops"),
)
def test_a_level_counts_from_the_moment_it_is_reached(trigger, quantity):
    start = Progress(0, 0.0, 0, 0.0, 0.0, 0.0, 0.0)
    for events, level in (([], 5), ([2], 9)):
        assert trigger.reason(dataclasses.replace(start, **{quantity: level - 1}), events, NO_LOSSES) is None
        assert str(level) in trigger.reason(dataclasses.replace(start, **{quantity: level}), events, NO_LOSSES)


@cases(
    (ComplexityTrigger, {}),
    (ComplexityTrigger, {"thresholds": [1.0], "percentiles": [50.0]}),
    (ComplexityTrigger, {"admitted": [1.0], "percentiles": [50.0]}),
    (ComplexityTrigger, {"thresholds": []}),
    (ScheduleTrigger, {}),
    (ScheduleTrigger, {"steps": [1], "words": [1.0]}),
    (ScheduleTrigger, {"steps": [1], "words": [1.0], "tokens": [1.0], "flops": [1.0]}),
)
def test_exactly_one_list_of_levels_is_asked_for(kind, levels):
    with pytest.raises(UserError, match="give exactly one of ") as caught:
        kind(**levels)
    assert all(field.name in str(caught.value) for field in dataclasses.fields(kind))


@pytest.mark.parametrize("levels", [[2, 1], [1, 1], [1, 3, 2], [float("nan"), 2], [float("nan")], [1, float("inf")]])
@pytest.mark.parametrize(("kind", "key"), [(ComplexityTrigger, "thresholds"), (ScheduleTrigger, "flops")])
def test_levels_must_rise(kind, key, levels):
    with pytest.raises(UserError, match=f"{key} is .*rising|{key} is .*finite"):
        kind(**{key: levels})


@given(progress=progresses, events=event_steps, stages=st.integers(2, 20))
def test_stages_are_quantiles_of_equal_size(progress, events, stages):
    trigger = ComplexityTrigger(stages=stages)
    same = ComplexityTrigger(percentiles=[round(100 * stage / stages, 6) for stage in range(1, stages)])
    assert trigger.events == same.events == stages - 1
    assert trigger.reason(progress, events, NO_LOSSES) == same.reason(progress, events, NO_LOSSES)


def test_one_stage_is_no_growth():
    with pytest.raises(UserError, match="complexity: stages is 1; it must be 2 or more"):
        ComplexityTrigger(stages=1)


@pytest.mark.parametrize("key", ["percentiles", "admitted"])
@pytest.mark.parametrize("levels", [[-1, 50], [50, 101], [float("nan")]])
def test_percent_are_percent(key, levels):
    with pytest.raises(UserError, match=f"{key} is .*; it must be .*0 or more and at most 100"):
        ComplexityTrigger(**{key: levels})
