"""Growth when the loss hardly falls for what it costs, and no growth while it rises."""

import dataclasses
import itertools

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tests.support.cases import cases
from tests.support.growth.simulated_run import plateaus, policies, simulated_runs, train
from tokenformer.errors import UserError
from tokenformer.growth.append_tokens import AppendTokens
from tokenformer.growth.policy import GrowthPolicy
from tokenformer.growth.triggers import LossHistory, LossPoint, PlateauTrigger, Progress, ValidationNotRising

HERE = Progress(99, 0.0, 0, 0.0, 0.0, 0.0, 0.0)


@dataclasses.dataclass(frozen=True)
class Losses:
    """Stands for a history that holds just these points."""

    points: tuple[LossPoint, ...]

    def newest(self, need):
        return self.points[-need.points :]


def losses_of(values, step=1, flops=1e13):
    return Losses(tuple(LossPoint(step * n, flops * n, value) for n, value in enumerate(values, start=1)))


def fires(trigger, losses, events=()):
    return trigger.reason(HERE, list(events), losses) is not None


values = st.lists(st.floats(0.5, 5.0), min_size=1, max_size=14)


@st.composite
def point_lists(draw):
    """Points at irregular steps with irregular costs."""
    losses = draw(values)
    steps = np.cumsum(draw(st.lists(st.integers(1, 9), min_size=len(losses), max_size=len(losses))))
    flops = np.cumsum(draw(st.lists(st.floats(1e12, 1e14), min_size=len(losses), max_size=len(losses))))
    return Losses(tuple(map(LossPoint, steps.tolist(), flops.tolist(), losses)))


@settings(max_examples=300)
@given(trigger=plateaus, losses=point_lists(), event=st.one_of(st.none(), st.integers(0, 60)))
def test_it_is_the_slope_that_its_description_says(trigger, losses, event):
    """Oracle: numpy, over all points, by convolution, in rates a FLOP."""
    events = [] if event is None else [event]
    window = trigger.average_steps if trigger.loss == "training" else 1
    is_of_stage = [event is None or point.step - window >= event + trigger.cooldown for point in losses.points]
    table = np.array([(point.flops, point.loss) for point in losses.points])[is_of_stage]
    enough = max(trigger.minimum_points, trigger.smoothing + trigger.patience)
    expected = False
    if len(table) >= enough and len(events) < trigger.events:
        kernel = np.full(trigger.smoothing, 1 / trigger.smoothing)
        flops, loss = (np.convolve(column, kernel, mode="valid") for column in table.T)
        rates = -np.diff(loss) / loss[:-1] / np.diff(flops)
        limit = trigger.improvement_per_petaflop / 1e15
        assume(not np.isclose(rates[-trigger.patience :], limit, rtol=1e-9).any())
        expected = bool((rates[-trigger.patience :] < limit).all())
    assert fires(trigger, losses, events) == expected


@given(trigger=plateaus, losses=point_lists(), factor=st.floats(1.0, 10.0), fewer=st.integers(0, 2))
def test_a_milder_demand_is_met_wherever_a_harder_one_is(trigger, losses, factor, fewer):
    if fires(trigger, losses):
        rate = factor * trigger.improvement_per_petaflop
        assert fires(dataclasses.replace(trigger, improvement_per_petaflop=rate), losses)
        assert fires(dataclasses.replace(trigger, patience=max(1, trigger.patience - fewer)), losses)
        assert fires(dataclasses.replace(trigger, minimum_points=max(0, trigger.minimum_points - fewer)), losses)


@given(trigger=plateaus, losses=point_lists(), exponent=st.integers(-8, 8))
def test_only_the_relative_fall_counts_and_only_the_flops_between(trigger, losses, exponent):
    """By powers of two, which change no digit."""
    scale, expected = 2.0**exponent, fires(trigger, losses)
    scaled = [dataclasses.replace(point, loss=scale * point.loss) for point in losses.points]
    assert fires(trigger, Losses(tuple(scaled))) == expected
    dearer = [dataclasses.replace(point, flops=scale * point.flops) for point in losses.points]
    rate = trigger.improvement_per_petaflop / scale
    assert fires(dataclasses.replace(trigger, improvement_per_petaflop=rate), Losses(tuple(dearer))) == expected


@given(trigger=plateaus, level=st.floats(0.5, 5.0), count=st.integers(0, 12))
def test_a_flat_or_rising_loss_is_a_plateau_as_soon_as_there_are_points(trigger, level, count):
    for step in (0.0, 0.1):
        losses = losses_of([level + step * number for number in range(count)])
        assert fires(trigger, losses) == (count >= trigger.points)


@given(trigger=plateaus, count=st.integers(0, 12))
def test_a_loss_that_halves_is_none(trigger, count):
    assert not fires(trigger, losses_of([2.0**-number for number in range(count)], flops=1e12))


@pytest.mark.parametrize("spoilt", [float("nan"), float("inf")])
def test_a_loss_that_is_no_number_is_no_plateau(spoilt):
    trigger = PlateauTrigger(improvement_per_petaflop=1.0, patience=2)
    assert fires(trigger, losses_of([3.0, 3.0, 3.0]))
    guard = ValidationNotRising(patience=2)
    assert fires(guard, losses_of([3.0, 3.0, 3.0]))
    for losses in ([3.0, 3.0, spoilt], [3.0, spoilt, spoilt], [spoilt, spoilt, spoilt]):
        assert not fires(trigger, losses_of(losses))
    assert not fires(guard, losses_of([3.0, spoilt, spoilt]))


def test_a_loss_of_zero_does_not_fall():
    assert fires(PlateauTrigger(improvement_per_petaflop=1.0), losses_of([0.0, 0.0, 0.0]))


def test_a_worked_example():
    """4 % of 2.5 nats in a tenth of a petaflop are 0.4 a petaflop."""
    losses = losses_of([2.6, 2.5, 2.4], flops=1e14)
    trigger = PlateauTrigger(improvement_per_petaflop=0.41, patience=1)
    assert trigger.reason(HERE, [], losses) == "validation loss falls by 0.4 a petaflop < 0.41"
    assert not fires(dataclasses.replace(trigger, improvement_per_petaflop=0.39), losses)
    assert trigger.fall_between_points(1e14) == pytest.approx(0.041)


@given(policy=policies(plateaus), run=simulated_runs())
def test_it_never_fires_within_its_cooldown_nor_without_its_points(policy, run):
    trigger, (events, _) = policy.trigger, train(policy, run)
    distance = trigger.average_steps if trigger.loss == "training" else run.interval
    assert len(events) <= trigger.events
    for event in events[:1]:
        assert event >= trigger.points * distance
    for sooner, later in itertools.pairwise(events):
        window = distance if trigger.loss == "training" else 1
        assert later - sooner >= trigger.cooldown + window + (trigger.points - 1) * distance


def test_only_the_last_rates_have_to_be_low_however_many_points_are_asked_for():
    trigger = PlateauTrigger(improvement_per_petaflop=1.0, patience=1, minimum_points=5)
    assert fires(trigger, losses_of([5.0, 4.0, 3.0, 2.0, 2.0]))
    assert not fires(trigger, losses_of([4.0, 3.0, 2.0, 2.0]))
    assert not fires(trigger, losses_of([5.0, 5.0, 5.0, 5.0, 4.0]))


def test_losses_before_a_growth_do_not_count_after_it():
    trigger = PlateauTrigger(improvement_per_petaflop=1.0, patience=2, cooldown=3, events=2)
    history = LossHistory.of(trigger.needs)
    policy = GrowthPolicy(trigger, AppendTokens(), 0, 1, 1e-4)
    events = []
    for step in range(1, 20):
        history = history.with_loss("validation", step, 1e13 * step, 3.0, events)
        if policy.reason(dataclasses.replace(HERE, step=step), events, history) is not None:
            events.append(step)
    assert events == [3, 3 + 3 + 3]


@given(losses=point_lists(), smoothing=st.integers(1, 3), patience=st.integers(1, 3))
def test_the_guard_holds_unless_all_of_the_last_changes_are_rises(losses, smoothing, patience):
    averages = [
        np.mean([point.loss for point in losses.points[end - smoothing : end]])
        for end in range(smoothing, len(losses.points) + 1)
    ]
    changes = np.diff(averages)[-patience:] if len(averages) > patience else []
    assume(not np.isclose(changes, 0).any())
    assert fires(ValidationNotRising(smoothing, patience), losses) == (len(changes) > 0 and min(changes) <= 0)


@given(losses=point_lists(), smoothing=st.integers(1, 3), patience=st.integers(1, 3))
def test_growth_and_its_events_do_not_change_what_the_guard_says(losses, smoothing, patience):
    guard = ValidationNotRising(smoothing, patience)
    assert guard.events is None
    assert fires(guard, losses) == fires(guard, losses, [1, 4])


@cases(
    ({"improvement_per_petaflop": 0.0}, "improvement_per_petaflop is 0.0; it must be above 0"),
    (
        {"improvement_per_petaflop": float("nan")},
        "improvement_per_petaflop is nan; it must be a finite number, above 0",
    ),
    ({"loss": "test"}, "loss is 'test'; choose one of validation, training"),
    ({"average_steps": 0}, "average_steps is 0; it must be 1 or more"),
    ({"smoothing": 0}, "smoothing is 0; it must be 1 or more"),
    ({"patience": 0}, "patience is 0; it must be 1 or more"),
    ({"cooldown": -1}, "cooldown is -1; it must be 0 or more"),
    ({"minimum_points": -1}, "minimum_points is -1; it must be 0 or more"),
    ({"events": 0}, "events is 0; it must be 1 or more"),
)
def test_a_parameter_that_means_nothing_is_refused(parameters, message):
    with pytest.raises(UserError, match="^plateau: ") as caught:
        PlateauTrigger(**{"improvement_per_petaflop": 1.0, **parameters})
    assert message in str(caught.value)


@pytest.mark.parametrize("key", ["smoothing", "patience"])
def test_so_is_one_of_the_guard(key):
    with pytest.raises(UserError, match=f"validation_not_rising: {key} is 0"):
        ValidationNotRising(**{key: 0})
