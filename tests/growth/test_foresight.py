"""What is known of growth before training holds, whatever the losses turn out to be."""

from hypothesis import given, settings

from tests.support.cases import cases
from tests.support.growth.simulated_run import SimulatedRun, complexities, policies, schedules, simulated_runs, train
from tokenformer.growth.append_tokens import AppendTokens
from tokenformer.growth.policy import GrowthPolicy, PlannedRun, expected_events
from tokenformer.growth.triggers import (
    AllTrigger,
    AnyTrigger,
    ComplexityTrigger,
    PlateauTrigger,
    ScheduleTrigger,
    ValidationNotRising,
)


def expected(policy, run):
    return expected_events(policy, PlannedRun(run.steps, run.progress, run.measures_validation))


@settings(max_examples=400)
@given(policy=policies(), run=simulated_runs())
def test_events_come_within_their_bounds(policy, run):
    events, _ = train(policy, run)
    bounds = expected(policy, run)
    assert len(events) <= len(bounds) <= policy.trigger.events
    for number, bound in enumerate(bounds):
        if bound.latest is not None:
            assert bound.earliest <= bound.latest and number < len(events)
        if number < len(events):
            assert bound.earliest <= events[number] <= (run.steps if bound.latest is None else bound.latest)
        if bound.reason is not None:
            assert events[number] == bound.earliest == bound.latest


@given(policy=policies(schedules | complexities), run=simulated_runs())
def test_without_losses_every_event_is_known(policy, run):
    bounds = expected(policy, run)
    assert [bound.earliest for bound in bounds] == [bound.latest for bound in bounds] == train(policy, run)[0]
    assert all(bound.reason is not None for bound in bounds)


@given(policy=policies(), run=simulated_runs())
def test_the_earliest_steps_are_those_of_losses_that_stand_still(policy, run):
    still = SimulatedRun([3.0] * run.steps, [3.0] * run.steps, run.interval, run.complexity)
    assert train(policy, still)[0] == [bound.earliest for bound in expected(policy, run)]


@settings(max_examples=200)
@given(policy=policies(), run=simulated_runs())
def test_a_resumed_run_grows_as_one_that_never_stopped(policy, run):
    """From the record of every step: before, at and after each event too."""
    events, checkpoints = train(policy, run)
    for checkpoint in checkpoints:
        assert train(policy, run, checkpoint)[0] == events


RUN = SimulatedRun([3.0] * 40, [3.0] * 40, 5, list(range(41)))
PLATEAU = PlateauTrigger(improvement_per_petaflop=1.0, patience=1, events=2)


@cases(
    (PLATEAU, [(10, None), (20, None)]),
    (AnyTrigger([PLATEAU, ScheduleTrigger(steps=[12, 18])]), [(10, 12), (18, 18)]),
    (AnyTrigger([PLATEAU, ScheduleTrigger(steps=[7, 30])]), [(7, 7), (15, 30)]),
    (AllTrigger([PLATEAU, ScheduleTrigger(steps=[12, 18, 30])]), [(12, None), (20, None)]),
    (AllTrigger([ValidationNotRising(), ComplexityTrigger(admitted=[3, 30])]), [(15, None), (30, None)]),
)
def test_worked_examples(trigger, bounds):
    found = expected(GrowthPolicy(trigger, AppendTokens(), 0, 1, 1e-4), RUN)
    assert [(bound.earliest, bound.latest) for bound in found] == bounds
    assert [bound.reason is not None for bound in found] == [bounds[:1] == [(7, 7)], False]
