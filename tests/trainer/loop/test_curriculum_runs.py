"""Curricula through the real trainer: growing context, budgets in words, the ladder of checkpoints."""

import json

import numpy as np
import pytest
import yaml

from tests.support.training.launching import start_training
from tests.support.training.run_files import (
    assert_same_end,
    checkpoint,
    differing,
    event_steps,
    metrics,
    rewound_copy,
    step_lines,
    weights,
)
from tests.support.training.tiny_run import RUN, VOCABULARY
from tokenformer.curriculum import budget
from tokenformer.trainer.run.prepared_run import PreparedRun

GROWS_BY_STEPS = "growth.trigger={name: schedule, steps: [5, 9]}"
NO_CHECKPOINTS = ("checkpoints.checkpoint_interval=100", "tokens.val_check_interval=-1")
LLAMA = (
    "model.model_config={is_llama_config: true, hidden_size: 32, num_attention_heads: 2, num_key_value_heads: 2, "
    f"num_hidden_layers: 2, intermediate_size: 64, vocab_size: {VOCABULARY}, max_position_embeddings: 32}}",
)
MODELS = {"tokenformer": (), "llama": LLAMA}
CONTEXT = "curriculum.context_length=[{length: 8, until: 0.45}, {length: 16, until: 0.7}, {length: 32}]"
CURRICULUM = (
    "curriculum.ordering={name: staged, stages: 2, revisit: true}",
    "curriculum.selections=[{name: prune, tail: 0.1}]",
    "curriculum.mixture={easy: [[0, 1], [1, 0]], middle: 1, hard: [[0, 0], [1, 1]]}",
)


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS.keys())
def test_a_shorter_context_is_a_shorter_sequence(train_here, model):
    """Samples of 32 tokens, cut at 8, train as four times as many samples of 8 do, growth included."""
    settings = (*model, *NO_CHECKPOINTS, GROWS_BY_STEPS)
    cut = train_here(*settings, "curriculum.context_length=[{length: 8}]", "general.run=cut")
    cut = cut.parent / "cut"
    train_here(*settings, "tokens.sequence_length=8", "tokens.micro_batch_size=16", "general.run=short")
    short = cut.parent / "short"
    losses = [[line["lm_loss"] for line in step_lines(run)] for run in (cut, short)]
    assert losses[0] == losses[1] and len(losses[0]) == 16
    assert differing(weights(checkpoint(cut)), weights(checkpoint(short))) == []
    flops = [[line["training_flops"] for line in step_lines(run)] for run in (cut, short)]
    assert flops[0] == flops[1]


@pytest.fixture(scope="module")
def grown(command_line, tmp_path_factory):
    """A run whose context grows on both sides of growth events, with shares of sources and a budget in words."""
    folder = tmp_path_factory.mktemp("context")
    settings = (CONTEXT, GROWS_BY_STEPS, *CURRICULUM, "tokens.train_steps=null", "curriculum.budget.words=900")
    settings += ("checkpoints.checkpoint_interval=6",)
    assert command_line(*settings, f"general.runs_folder={folder}") == 0
    return folder / RUN, settings


def test_context_and_flops_follow_the_schedule(grown, tiny_config):
    run, settings = grown
    prepared = PreparedRun.from_file(tiny_config, settings)
    steps = prepared.config.tokens.train_steps
    lines = step_lines(run)
    assert len(lines) == steps > 12 and event_steps(run) == [5, 9]
    lengths = [line["curriculum/context_length"] for line in lines]
    ends = [round(0.45 * steps), round(0.7 * steps)]
    assert lengths == [8 if step < ends[0] else 16 if step < ends[1] else 32 for step in range(steps)]
    assert [line["training_flops"] for line in lines] == pytest.approx(
        [prepared.training_flops(step, [event for event in (5, 9) if event < step]) for step in range(1, steps + 1)]
    )
    assert [line["consumed_tokens"] for line in lines] == [128 * step for step in range(1, steps + 1)]
    assert 830 < lines[-1]["consumed_words"] <= 900


def test_the_resolved_config_and_the_records_tell_words(grown):
    run, _ = grown
    content = yaml.safe_load((run / "config.yaml").read_text())
    assert content["tokens"]["train_steps"] == len(step_lines(run))
    reading = json.loads((run / "reading.json").read_text())
    assert reading["words"] == pytest.approx(step_lines(run)[-1]["consumed_words"])
    assert set(reading["sources"]) == {"easy", "middle", "hard"}
    assert sum(source["share"] for source in reading["sources"].values()) == pytest.approx(1)
    record = json.loads((checkpoint(run, 6) / "curriculum.json").read_text())
    assert record["words"] == pytest.approx(step_lines(run)[5]["consumed_words"]) and record["rung"] is None


def test_it_resumes_to_bit_identical_weights(grown, command_line, tmp_path):
    run, settings = grown
    stopped = rewound_copy(run, tmp_path, step=6)
    assert command_line(*settings, f"general.runs_folder={tmp_path}") == 0
    assert_same_end(stopped, run)


@pytest.mark.parametrize(
    "model", [pytest.param((), id="tokenformer", marks=pytest.mark.slow), pytest.param(LLAMA, id="llama")]
)
def test_pipeline_stages_take_every_context(train_here, tiny_config, tmp_path, model):
    settings = (*model, *NO_CHECKPOINTS, CONTEXT, "tokens.train_steps=6", GROWS_BY_STEPS.replace("5, 9", "3"))
    settings += ("curriculum.smoothing=0.5",)
    one = train_here(*settings, "checkpoints.save_initial_state=true")
    two = (*settings, "parallelism.pp=2", "tokens.micro_batch_size=2", "tokens.batch_accumulation_per_replica=2")
    two += (f"model.init_method={{path: {checkpoint(one, 0)}, std: null}}",)
    start_training(tiny_config, *two, f"general.runs_folder={tmp_path / 'two'}", ranks=2).expect_success()
    losses = [[line["lm_loss"] for line in step_lines(run)] for run in (one, tmp_path / "two" / RUN)]
    np.testing.assert_allclose(losses[1], losses[0], rtol=2e-6)


def test_checkpoints_stand_on_the_rungs_that_words_reach(train_here, tmp_path, monkeypatch):
    monkeypatch.setattr(budget, "_LADDER_STEPS", ((50, 200), (200, 10_000)))
    settings = ("checkpoints.babylm_ladder=true", "checkpoints.checkpoint_interval=100", GROWS_BY_STEPS)
    run = train_here(*settings)
    words = [0.0, *(line["consumed_words"] for line in step_lines(run))]
    rungs = [50, 100, 150, *range(200, int(words[-1]) + 1, 200)]
    expected = {next(step for step, count in enumerate(words) if count >= rung): rung for rung in rungs}
    assert len(expected) > 4
    written = {int(path.name): path for path in (run / "checkpoints").iterdir() if path.name.isdigit()}
    assert set(written) == {*expected, 16}
    for step, path in written.items():
        record = json.loads((path / "curriculum.json").read_text())
        assert record["words"] == pytest.approx(words[step])
        if step != 16:
            assert record["rung"] == expected[step]
    # Resumed between two rungs, it writes the same checkpoints.
    middle = sorted(expected)[2]
    stopped = rewound_copy(run, tmp_path / "resumed", step=middle)
    train_here(*settings, runs_folder=tmp_path / "resumed")
    assert_same_end(stopped, run)
    assert {path.name for path in (stopped / "checkpoints").iterdir()} == {
        path.name for path in (run / "checkpoints").iterdir()
    }
    assert metrics(stopped) == metrics(run)
