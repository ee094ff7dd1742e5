"""The growth section of a config becomes a trigger and an operator; limits hold; mistakes are named."""

import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.cases import refused
from tokenformer.config.added_sections import Growth
from tokenformer.errors import UserError
from tokenformer.growth import OPERATORS, TRIGGERS
from tokenformer.growth.append_tokens import AppendTokens
from tokenformer.growth.policy import GrowthPolicy, growth_policy
from tokenformer.growth.triggers import (
    AllTrigger,
    AnyTrigger,
    ComplexityTrigger,
    LossHistory,
    PlateauTrigger,
    Progress,
    ScheduleTrigger,
    ValidationNotRising,
)

TRIGGER = {"name": "schedule", "steps": [10, 20]}
OPERATOR = {"name": "append_tokens", "factor": 3}


def policy_of(trigger=TRIGGER, operator=OPERATOR, model_type="tokenformer", of_type="tokenformer", **limits):
    section = Growth(copy.deepcopy(trigger), {of_type: copy.deepcopy(operator)}, **limits)
    return growth_policy(section, model_type, "run.yaml")


def event_steps(policy: GrowthPolicy, complexities: list[float], events: list[int], first_step: int) -> list[int]:
    """The steps after which a run grows, as its trainer decides from `first_step` on."""
    events = list(events)
    for step in range(first_step, len(complexities)):
        progress = Progress(step, 5.0 * step, 7 * step, complexities[step], complexities[step], 0.0, 1e12 * step)
        if policy.reason(progress, events, LossHistory()) is not None:
            events.append(step)
    return events


def test_a_section_becomes_a_policy():
    policy = policy_of(earliest_step=5, minimum_steps_between=6, tolerance=1e-3)
    assert policy == GrowthPolicy(ScheduleTrigger(steps=[10, 20]), (AppendTokens(factor=3),) * 2, 5, 6, 1e-3)


def test_each_event_may_have_an_operator_of_its_own():
    policy = policy_of(operator=[OPERATOR, {"name": "append_tokens", "factor": 1.5}])
    assert [policy.operator_of(stage) for stage in (1, 2)] == [AppendTokens(factor=3), AppendTokens(factor=1.5)]


def test_no_section_and_no_operator_for_the_type_is_no_growth():
    assert growth_policy(None, "tokenformer", "run.yaml") is None
    assert policy_of(model_type="llama") is None


def test_the_section_is_not_changed():
    section = Growth(copy.deepcopy(TRIGGER), {"tokenformer": copy.deepcopy(OPERATOR)})
    growth_policy(section, "tokenformer", "run.yaml")
    assert section == Growth(TRIGGER, {"tokenformer": OPERATOR})


@given(
    complexities=st.lists(st.integers(0, 20), min_size=2, max_size=40),
    thresholds=st.lists(st.integers(0, 20), min_size=1, max_size=4, unique=True).map(sorted),
    earliest=st.integers(0, 30),
    latest=st.one_of(st.none(), st.integers(0, 40)),
    between=st.integers(1, 10),
    data=st.data(),
)
def test_limits_hold_and_a_resumed_run_decides_the_same(complexities, thresholds, earliest, latest, between, data):
    trigger = ComplexityTrigger(thresholds=thresholds)
    policy = GrowthPolicy(trigger, (AppendTokens(),), earliest, between, 1e-4, latest_step=latest)
    events = event_steps(policy, complexities, [], 0)
    assert len(events) <= policy.trigger.events
    assert all(earliest <= step and (latest is None or step <= latest) for step in events)
    assert all(later - sooner >= between for sooner, later in zip(events, events[1:], strict=False))
    resumed = data.draw(st.integers(0, len(complexities)))
    assert event_steps(policy, complexities, [step for step in events if step < resumed], resumed) == events


def test_an_event_that_had_to_wait_comes_at_the_limit():
    policy = policy_of(earliest_step=15, minimum_steps_between=25)
    assert event_steps(policy, [0.0] * 60, [], 0) == [15, 40]
    assert event_steps(policy_of(), [0.0] * 60, [], 0) == [10, 20]
    assert event_steps(policy_of(latest_step=20), [0.0] * 60, [], 0) == [10, 20]
    assert event_steps(policy_of(latest_step=19), [0.0] * 60, [], 0) == [10]


def test_triggers_nest():
    plateau = {"name": "plateau", "improvement_per_petaflop": "1e-3", "loss": "training", "events": 2}
    both = {"name": "all", "of": [plateau, {"name": "validation_not_rising", "patience": 3}]}
    trigger = policy_of(trigger={"name": "any", "of": [both, TRIGGER]}).trigger
    guarded = AllTrigger([PlateauTrigger(1e-3, loss="training", events=2), ValidationNotRising(patience=3)])
    assert trigger == AnyTrigger([guarded, ScheduleTrigger(steps=[10, 20])])


GUARD = {"name": "validation_not_rising"}
NESTED_MISTAKES = [
    ({"name": "any"}, ["the key growth.trigger.of is missing"]),
    ({"name": "any", "of": 3}, ["growth.trigger.of must be a list, not 3"]),
    ({"name": "any", "of": []}, ["growth.trigger: of must list one trigger or more"]),
    ({"name": "any", "of": ["schedule"]}, ["growth.trigger.of.0 must be a section with keys, not 'schedule'"]),
    ({"name": "all", "of": [TRIGGER, {"name": "moon"}]}, ["growth.trigger.of.1.name is 'moon'", *TRIGGERS]),
    ({"name": "all", "of": [{"name": "any", "of": [{"name": "schedule"}]}]}, ["growth.trigger.of.0.of.0: schedule"]),
    ({"name": "all", "of": [{"name": "plateau"}]}, ["key growth.trigger.of.0.improvement_per_petaflop is missing"]),
    ({"name": "schedule", "steps": [1], "of": [TRIGGER]}, ["the key growth.trigger.of is not known"]),
    ({"name": "plateau", "improvement_per_petaflop": 0}, ["growth.trigger.improvement_per_petaflop is 0.0"]),
    ({"name": "plateau", "improvement_per_petaflop": 1, "patiense": 2}, ["growth.trigger.patiense", "mean patience?"]),
    (GUARD, ["growth.trigger: validation_not_rising sets no bound", "`all`"]),
    ({"name": "any", "of": [GUARD, TRIGGER]}, ["growth.trigger: any sets no bound", "`all`"]),
]


@refused(*((trigger, ["run.yaml: ", *parts]) for trigger, parts in NESTED_MISTAKES))
def test_a_mistake_in_a_trigger_is_named_by_its_place(trigger):
    policy_of(trigger=trigger)


def test_an_end_before_the_beginning_is_refused():
    with pytest.raises(UserError, match="run.yaml: growth.latest_step is 4, before growth.earliest_step 5"):
        policy_of(earliest_step=5, latest_step=4)


MISTAKES = [
    ({"trigger": {"name": "loss"}}, ["growth.trigger.name is 'loss'", *TRIGGERS]),
    ({"trigger": {"steps": [1]}}, ["growth.trigger.name is None", *TRIGGERS]),
    ({"operator": {"name": "stack"}}, ["growth.operators.tokenformer.name is 'stack'", *OPERATORS]),
    ({"operator": {"name": "stack"}, "model_type": "llama"}, ["growth.operators.tokenformer.name", *OPERATORS]),
    ({"of_type": "llama"}, ["growth.operators.llama", "append_tokens grows tokenformer, not llama"]),
    ({"of_type": "llama", "model_type": "llama"}, ["append_tokens grows tokenformer, not llama"]),
    ({"trigger": {"name": "schedule", "step": [1]}}, ["growth.trigger.step is not known", "did you mean steps?"]),
    ({"trigger": {"name": "schedule", "steps": 5}}, ["growth.trigger.steps must be a list, not 5"]),
    ({"trigger": {"name": "schedule", "steps": ["a"]}}, ["growth.trigger.steps.0 is 'a'"]),
    ({"trigger": {"name": "complexity", "percentiles": ["a"]}}, ["growth.trigger.percentiles.0 is 'a'"]),
    ({"operator": {"name": "append_tokens", "factr": 2}}, ["tokenformer.factr is not known", "mean factor?"]),
    ({"operator": {"name": "append_tokens", "factor": "two"}}, ["growth.operators.tokenformer.factor is 'two'"]),
    ({"operator": {"name": "append_tokens", "factor": 0.5}}, ["tokenformer.factor is 0.5", "1 or more"]),
    ({"trigger": {"name": "schedule", "steps": [2, 1]}}, ["growth.trigger.steps", "rising"]),
    ({"operator": [OPERATOR]}, ["growth.operators.tokenformer lists 1 operators", "2 events"]),
    ({"operator": [OPERATOR, {"name": "stack"}]}, ["growth.operators.tokenformer.1.name is 'stack'", *OPERATORS]),
    ({"operator": [OPERATOR, OPERATOR], "of_type": "llama"}, ["append_tokens grows tokenformer, not llama"]),
    ({"warmup_steps": 5, "minimum_steps_between": 4}, ["growth.warmup_steps 5", "raise minimum_steps_between"]),
]


@refused(*((changes, ["run.yaml: ", *parts]) for changes, parts in MISTAKES))
def test_a_mistake_is_named_with_the_file_and_the_remedy(changes):
    policy_of(**changes)
