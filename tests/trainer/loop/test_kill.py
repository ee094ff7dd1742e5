"""A run that is killed at any moment, and started again with the same command, ends as one that was not."""

import json
import shutil

import pytest

from tests.support.training.launching import start_training
from tests.support.training.run_files import assert_same_end, event_steps, files, latest_step, rewound_copy, weights

# Checkpoints are rarer than in the reference run, so that every kill loses steps that have to be done again.
EVERY_THIRD_STEP = "checkpoints.checkpoint_interval=3"


def raw_lines(run):
    """The whole lines of metrics.jsonl while it is being written."""
    path = run / "metrics.jsonl"
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]


def saved_step(run):
    return latest_step(run) if (run / "checkpoints" / "latest.txt").exists() else 0


def has_trained_but_saved_nothing(run):
    lines = raw_lines(run)
    return bool(lines) and lines[-1]["iteration_step"] >= 1 and saved_step(run) == 0


def writes_a_checkpoint(run):
    lines = raw_lines(run)
    partial = run / "checkpoints" / ".tokenformer.partial" / str(lines[-1]["iteration_step"] if lines else None)
    return any(partial.glob("model/**/*.safetensors"))


def has_grown_since_its_checkpoint(run):
    return any("growth/event" in line and line["iteration_step"] >= saved_step(run) for line in raw_lines(run))


def has_trained_beyond_its_checkpoint(run):
    lines = raw_lines(run)
    return bool(lines) and lines[-1]["iteration_step"] > saved_step(run) > 0


MOMENTS = (
    has_trained_but_saved_nothing,
    writes_a_checkpoint,
    has_grown_since_its_checkpoint,
    has_trained_beyond_its_checkpoint,
)


def metrics_inode(run):
    path = run / "metrics.jsonl"
    return path.stat().st_ino if path.exists() else None


def kill_when(moment, run, config, *settings):
    """Starts the run and kills it at the moment, which counts when the process has taken over the metrics file."""
    before = metrics_inode(run)
    training = start_training(config, *settings)
    training.stop_when(lambda: metrics_inode(run) != before and moment(run))
    training.end()
    assert moment(run), "the moment passed before the process died"


def test_a_run_killed_again_and_again_ends_bitwise_as_the_reference(reference, tiny_config, tmp_path):
    settings = (EVERY_THIRD_STEP, f"general.runs_folder={tmp_path}")
    run = tmp_path / reference.name
    for moment in MOMENTS:
        kill_when(moment, run, tiny_config, *settings)
    lost = raw_lines(run)[-1]["iteration_step"] - saved_step(run)
    assert lost > 0
    start_training(tiny_config, *settings).expect_success()
    assert_same_end(run, reference)
    assert not (run / "checkpoints" / ".tokenformer.partial").exists()


@pytest.fixture
def stopped_run(reference, tmp_path):
    """A copy of the reference run that was stopped after its first growth, at checkpoint 9."""
    step = event_steps(reference)[0] + 2
    return rewound_copy(reference, tmp_path, step)


@pytest.fixture
def resume(train_here, tmp_path):
    return lambda: train_here(runs_folder=tmp_path)


def leave_damaged_partial(run, reference, step):
    """What a process leaves that died while it wrote a checkpoint: half of the files, one of them cut off."""
    partial = run / "checkpoints" / ".tokenformer.partial" / str(step)
    shutil.copytree(reference / "checkpoints" / str(step), partial)
    for name in ("growth.json", "checkpoint_metadata.json"):
        (partial / name).unlink()
    tensors = sorted(partial.glob("model/**/*.safetensors"))
    tensors[0].write_bytes(tensors[0].read_bytes()[:50])
    tensors[1].unlink()
    return partial


@pytest.mark.parametrize("ahead", [1, 3], ids=["of the next checkpoint", "of a later one"])
def test_a_damaged_partial_folder_does_no_harm(stopped_run, reference, resume, ahead):
    leave_damaged_partial(stopped_run, reference, latest_step(stopped_run) + ahead)
    resume()
    assert_same_end(stopped_run, reference)
    assert not (stopped_run / "checkpoints" / ".tokenformer.partial").exists()


def test_nothing_of_a_partial_folder_gets_into_a_checkpoint(stopped_run, reference, resume):
    step = latest_step(stopped_run) + 1
    partial = leave_damaged_partial(stopped_run, reference, step)
    foreign = sorted(partial.glob("model/**/*.safetensors"))[0]
    foreign.rename(foreign.with_name(foreign.name.replace("tp-rank-0-of-1", "tp-rank-1-of-2")))
    resume()
    reached, expected = (run / "checkpoints" / str(step) for run in (stopped_run, reference))
    assert files(reached) == files(expected)


def test_a_checkpoint_that_lost_the_race_to_be_the_latest_is_written_again(stopped_run, reference, resume):
    """The process died after the checkpoint got its name and before latest.txt named it."""
    step = latest_step(stopped_run) + 1
    reached = stopped_run / "checkpoints" / str(step)
    shutil.copytree(reference / "checkpoints" / str(step), reached)
    (reached / "growth.json").write_text("damaged")
    resume()
    assert_same_end(stopped_run, reference)
    assert (reached / "growth.json").read_text() == (reference / "checkpoints" / str(step) / "growth.json").read_text()
    assert weights(reached).keys() == weights(reference / "checkpoints" / str(step)).keys()


def test_a_half_written_line_of_metrics_does_no_harm(stopped_run, reference, resume):
    with open(stopped_run / "metrics.jsonl", "a", encoding="utf-8") as file:
        file.write('{"iteration_step": 17, "lm_l')
    resume()
    assert_same_end(stopped_run, reference)
