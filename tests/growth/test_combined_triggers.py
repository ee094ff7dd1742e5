"""`any` and `all` are the or and the and of what their triggers say."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.growth.simulated_run import SimulatedRun, policies, simulated_runs, singles, train, triggers
from tokenformer.errors import UserError
from tokenformer.growth.append_tokens import AppendTokens
from tokenformer.growth.policy import GrowthPolicy
from tokenformer.growth.triggers import (
    AllTrigger,
    AnyTrigger,
    ComplexityTrigger,
    LossHistory,
    Progress,
    ScheduleTrigger,
)
from tokenformer.growth.triggers.combined import single_triggers


@st.composite
def situations(draw):
    """What a trigger is asked with: three triggers, and where a run that obeys a fourth stands."""
    a, b, c = (draw(triggers) for _ in range(3))
    policy, run = draw(policies()), draw(simulated_runs())
    events, _ = train(policy, run)
    step = draw(st.integers(0, run.steps))
    past = [event for event in events if event < step]
    history = LossHistory.of([*a.needs, *b.needs, *c.needs])
    for done in range(1, step + 1):
        flops, grown = run.progress(done, past).flops, [event for event in past if event < done]
        history = history.with_loss("training", done, flops, run.training[done - 1], grown)
        if run.measures_validation(done):
            history = history.with_loss("validation", done, flops, run.validation[done - 1], grown)
    progress = run.progress(step, past)
    return a, b, c, lambda trigger: trigger.reason(progress, past, history) is not None


@given(situations())
def test_they_are_or_and_and(situation):
    a, b, c, holds = situation
    assert holds(AnyTrigger([a, b, c])) == (holds(a) or holds(b) or holds(c))
    assert holds(AllTrigger([a, b, c])) == (holds(a) and holds(b) and holds(c))


@given(situations())
def test_the_laws_of_a_lattice_hold(situation):
    a, b, c, holds = situation
    for one, other in ((AnyTrigger, AllTrigger), (AllTrigger, AnyTrigger)):
        assert holds(one([a])) == holds(one([a, a])) == holds(a)
        assert holds(one([a, b])) == holds(one([b, a]))
        assert holds(one([a, one([b, c])])) == holds(one([one([a, b]), c])) == holds(one([a, b, c]))
        assert holds(one([a, other([a, b])])) == holds(a)
        assert holds(one([a, other([b, c])])) == holds(other([one([a, b]), one([a, c])]))


@given(st.lists(triggers, min_size=1, max_size=4))
def test_the_bounds_on_events_are_the_largest_and_the_smallest(of):
    bounds = [trigger.events for trigger in of]
    known = [bound for bound in bounds if bound is not None]
    assert AnyTrigger(of).events == (max(known) if len(known) == len(of) else None)
    assert AllTrigger(of).events == (min(known) if known else None)


@given(of=st.lists(triggers, min_size=1, max_size=3), kind=st.sampled_from([AnyTrigger, AllTrigger]))
def test_events_are_due_until_they_are_used_up(of, kind):
    """Where all levels are reached and no loss has moved for long."""
    trigger = kind(of)
    history = LossHistory.of(trigger.needs)
    for step in range(1, 31):
        for source in ("training", "validation"):
            history = history.with_loss(source, step, 1e13 * step, 3.0, [])
    far = Progress(100, 1e9, 10**9, 1e9, 100.0, 100.0, 1e18)
    events = 5 if trigger.events is None else trigger.events
    due = [trigger.reason(far, [0] * done, history) is not None for done in range(events + 2)]
    assert due[:events] == [True] * events
    assert any(due[events:]) == (trigger.events is None)


@given(st.lists(triggers, min_size=1, max_size=3))
def test_a_tree_is_its_leaves_and_needs_what_they_need(of):
    leaves = [leaf for trigger in of for leaf in single_triggers(trigger)]
    assert list(single_triggers(AllTrigger([AnyTrigger(of)]))) == leaves
    assert all(type(leaf) not in (AnyTrigger, AllTrigger) for leaf in leaves)
    assert [need for leaf in leaves for need in leaf.needs] == list(AnyTrigger(of).needs)


@given(singles)
def test_a_trigger_that_combines_none_is_its_own_leaf(trigger):
    assert list(single_triggers(trigger)) == [trigger]


def test_each_event_counts_for_all_of_them():
    """The second event takes the second level of each, though the first came by one of them."""
    run = SimulatedRun([1.0] * 20, [1.0] * 20, 5, list(range(21)))
    trigger = AnyTrigger([ScheduleTrigger(steps=[3, 15]), ComplexityTrigger(thresholds=[5, 9])])
    assert train(GrowthPolicy(trigger, AppendTokens(), 0, 1, 1e-4), run)[0] == [3, 9]
    trigger = AllTrigger([ScheduleTrigger(steps=[3, 15]), ComplexityTrigger(thresholds=[5, 9, 12])])
    assert train(GrowthPolicy(trigger, AppendTokens(), 0, 1, 1e-4), run)[0] == [5, 15]


@pytest.mark.parametrize("kind", [AnyTrigger, AllTrigger])
def test_none_to_combine_is_refused(kind):
    with pytest.raises(UserError, match="of must list one trigger or more"):
        kind([])
