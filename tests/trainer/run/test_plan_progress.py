"""Where a run stands after each step is read off its sample plan, whatever the layout."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenformer.curriculum.plan import build_plan
from tokenformer.trainer.run.plan_progress import PlanProgress, admitted_text
from tokenformer.trainer.run.prepared_run import PreparedRun


@st.composite
def plans(draw):
    tokens = draw(st.lists(st.integers(1, 12), min_size=2, max_size=30))
    complexity = draw(st.lists(st.integers(0, 6), min_size=len(tokens), max_size=len(tokens)))
    return build_plan(
        document_tokens=np.array(tokens),
        document_words=np.array(tokens),
        document_complexity=np.array(complexity, dtype=float),
        total_tokens=draw(st.integers(8, 200)),
        sequence_length=draw(st.integers(1, 8)),
        ordering=draw(st.sampled_from(["random", "easy_to_hard", "paced"])),
        seed=draw(st.integers(0, 3)),
    )


@given(plans())
def test_admitted_text_is_counted_token_by_token(plan):
    """Oracle: the stream of the plan as one complexity a token."""
    stream = np.repeat(plan.document_complexity[plan.order], plan.document_tokens[plan.order])
    samples = np.arange(plan.samples + 1)
    expected = [0.0]
    for count in samples[1:]:
        hardest = stream[: count * plan.sequence_length].max()
        expected.append(100 * np.mean(stream <= hardest))
    assert admitted_text(plan, samples) == pytest.approx(np.array(expected))
    assert (np.diff(admitted_text(plan, samples)) >= 0).all()


def test_under_pacing_it_is_the_part_that_is_admitted():
    generator = np.random.default_rng(0)
    tokens = generator.integers(5, 15, 20_000)
    plan = build_plan(
        document_tokens=tokens,
        document_words=tokens,
        document_complexity=generator.random(20_000),
        total_tokens=int(tokens.sum()) - 10,
        sequence_length=10,
        ordering="paced",
        parameters={"start": 0.2, "end": 0.8, "exponent": 1.0},
    )
    progress = np.array([0.01, 0.2, 0.4, 0.6, 0.8, 1.0])
    admitted = admitted_text(plan, (progress * plan.samples).astype(int))
    assert admitted == pytest.approx(100 * np.minimum(1, 0.2 + progress), abs=0.8)


@given(plans(), st.data())
def test_it_is_a_table_of_the_steps(plan, data):
    batch_size = data.draw(st.integers(1, plan.samples))
    steps = plan.samples // batch_size
    table = PlanProgress.of(plan, steps, batch_size, smoothing=0.5)
    averages, average = [], 0.0
    for step in range(steps + 1):
        progress = table.after(step, flops=3.0 * step)
        assert (progress.step, progress.flops) == (step, 3.0 * step)
        assert progress.tokens == step * batch_size * plan.sequence_length
        assert progress.words == pytest.approx(plan.words_before(step * batch_size))
        if step:
            average = 0.5 * average + 0.5 * plan.sample_complexity[(step - 1) * batch_size : step * batch_size].mean()
            averages.append(average / (1 - 0.5**step))
            assert progress.complexity == pytest.approx(averages[-1])
            simpler = np.mean(plan.sample_complexity < progress.complexity)
            assert progress.complexity_percentile == pytest.approx(100 * simpler)
    assert table.after(0, 0.0).complexity == plan.sample_complexity[0]


@pytest.mark.parametrize(
    "layout",
    [
        ("parallelism.dp=2", "tokens.micro_batch_size=2"),
        ("parallelism.dp=4", "tokens.micro_batch_size=1"),
        ("tokens.micro_batch_size=1", "tokens.batch_accumulation_per_replica=4"),
    ],
)
def test_the_layout_changes_neither_the_progress_nor_the_stages(tiny_config, layout):
    trigger = "growth.trigger={name: schedule, flops: [1.3e+8, 2.9e+8]}"
    one, other = (PreparedRun.from_file(tiny_config, [trigger, *settings]) for settings in ((), layout))
    for step in range(17):
        for event_steps in ([], [0], [3, 9]):
            past = [event for event in event_steps if event <= step]
            assert one.progress(step, past) == other.progress(step, past)
    assert one.stages() == other.stages()
    assert len(one.stages()) == 3


def test_flops_are_those_of_the_stages_so_far(tiny_config):
    run = PreparedRun.from_file(tiny_config)
    first, second, third = (128 * stage.flops_per_token for stage in run.stages())
    assert run.progress(5, []).flops == run.progress(5, [5]).flops == 5 * first
    assert run.progress(9, [5]).flops == 5 * first + 4 * second
    assert run.progress(9, [0, 7]).flops == 7 * second + 2 * third
