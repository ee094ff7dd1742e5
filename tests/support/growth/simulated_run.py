"""A run without a model: losses and complexities that hypothesis draws, and growth as the trainer asks for it."""

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

from hypothesis import strategies as st

from tokenformer.growth.append_tokens import AppendTokens
from tokenformer.growth.policy import GrowthPolicy
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

FLOPS_OF_FIRST_STAGE = 1e13


@dataclass(frozen=True)
class SimulatedRun:
    """A run of `len(training)` steps.

    Args:
        training, validation: loss of each step, from the first.
        interval: steps between validations.
        complexity: at each number of steps done, from 0.
    """

    training: list[float]
    validation: list[float]
    interval: int
    complexity: list[float]

    @property
    def steps(self) -> int:
        return len(self.training)

    def measures_validation(self, step: int) -> bool:
        return step % self.interval == 0 or step == self.steps

    def progress(self, step: int, event_steps: Sequence[int]) -> Progress:
        flops = sum(FLOPS_OF_FIRST_STAGE * (step - begin) for begin in (0, *event_steps))
        complexity = self.complexity[step]
        hardest = max(self.complexity[: step + 1])
        return Progress(step, float(step), step, complexity, complexity, hardest, flops)


@dataclass(frozen=True)
class SimulatedCheckpoint:
    """What a checkpoint records after a step, as text."""

    step: int
    event_steps: str
    losses: str


def train(policy: GrowthPolicy, run: SimulatedRun, start: SimulatedCheckpoint | None = None):
    """The steps after which the run grows, its checkpoints of every step, and the losses that triggers read."""
    step, events, losses = 0, [], LossHistory.of(policy.trigger.needs)
    if start is not None:
        step, events = start.step, json.loads(start.event_steps)
        losses = LossHistory.from_record(json.loads(start.losses))
    checkpoints = []
    while step < run.steps:
        if policy.reason(run.progress(step, events), events, losses) is not None:
            events.append(step)
        step += 1
        flops = run.progress(step, events).flops
        losses = losses.with_loss("training", step, flops, run.training[step - 1], events)
        if run.measures_validation(step):
            losses = losses.with_loss("validation", step, flops, run.validation[step - 1], events)
        record = json.dumps(dataclasses.asdict(losses))
        checkpoints.append(SimulatedCheckpoint(step, json.dumps(events), record))
    return events, checkpoints


@st.composite
def simulated_runs(draw) -> SimulatedRun:
    steps = draw(st.integers(4, 40))
    falls = st.lists(st.floats(-0.02, 0.15), min_size=steps, max_size=steps)
    training, validation = (
        list(accumulate(draw(falls), lambda loss, fall: loss * (1 - fall), initial=5.0))[1:] for _ in range(2)
    )
    complexity = st.lists(st.integers(0, 20), min_size=steps + 1, max_size=steps + 1)
    return SimulatedRun(training, validation, draw(st.integers(1, 5)), draw(complexity))


rising = st.lists(st.integers(0, 20), min_size=1, max_size=3, unique=True).map(sorted)
schedules = st.one_of(
    *(st.builds(ScheduleTrigger, **{key: rising}) for key in ("steps", "words", "tokens")),
    st.builds(ScheduleTrigger, flops=rising.map(lambda levels: [FLOPS_OF_FIRST_STAGE * level for level in levels])),
)
complexities = st.one_of(
    *(st.builds(ComplexityTrigger, **{key: rising}) for key in ("thresholds", "percentiles", "admitted"))
)
# A step of the first stage is a hundredth of a petaflop, so that a fall of 1 % in a step is a rate of 1.
plateaus = st.builds(
    PlateauTrigger,
    improvement_per_petaflop=st.floats(0.01, 12.0),
    loss=st.sampled_from(["training", "validation"]),
    average_steps=st.integers(1, 4),
    smoothing=st.integers(1, 3),
    patience=st.integers(1, 3),
    cooldown=st.integers(0, 6),
    minimum_points=st.integers(0, 5),
    events=st.integers(1, 3),
)
guards = st.builds(ValidationNotRising, smoothing=st.integers(1, 3), patience=st.integers(1, 3))
bounded = st.one_of(schedules, complexities, plateaus)
singles = st.one_of(bounded, guards)
triggers = st.recursive(
    singles,
    lambda inner: st.builds(
        lambda kind, of: kind(of), st.sampled_from([AnyTrigger, AllTrigger]), st.lists(inner, min_size=1, max_size=3)
    ),
    max_leaves=4,
)
# As a run would have them: a plateau with something that brings growth in the end, or that holds it back.
reading_losses = st.one_of(
    plateaus,
    st.builds(lambda *of: AnyTrigger(list(of)), plateaus, bounded),
    st.builds(lambda *of: AllTrigger(list(of)), plateaus | guards, bounded),
    st.builds(lambda a, b, c: AnyTrigger([AllTrigger([a, b]), c]), guards, plateaus, schedules),
    triggers,
)


@st.composite
def policies(draw, trigger=reading_losses) -> GrowthPolicy:
    """Any trigger within limits, as a run may have it: one that sets no bound stands beside one that does."""
    chosen = draw(trigger)
    if chosen.events is None:
        chosen = AllTrigger([chosen, draw(bounded)])
    earliest = draw(st.integers(0, 10))
    latest = draw(st.one_of(st.none(), st.integers(earliest, 40)))
    return GrowthPolicy(chosen, AppendTokens(), earliest, draw(st.integers(1, 8)), 1e-4, latest_step=latest)
