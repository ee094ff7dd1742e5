"""A run that is asked to end loses no step, and one whose numbers are not finite leaves none of them behind."""

import json
import signal

import pytest

from tests.support.places import PROGRAMS
from tests.support.training.launching import start_training
from tests.support.training.run_files import assert_same_end, latest_step, metrics, weights
from tests.support.training.tiny_run import RUN, TWO_REPLICAS

EVERY_FOURTH_STEP = "checkpoints.checkpoint_interval=4"
STATUS = {"SIGINT": 130, "SIGTERM": 143, "SIGUSR1": 143}


def stop_at(step: int, name: str, monkeypatch) -> None:
    """This process gets the signal in the middle of a step."""
    from tokenformer.trainer.loop.trainer import TokenformerTrainer

    def post_train_step(trainer):
        if trainer.iteration_step == step:
            signal.raise_signal(signal.Signals[name])

    monkeypatch.setattr(TokenformerTrainer, "post_train_step", post_train_step)


@pytest.mark.parametrize(("name", "step"), [("SIGINT", 5), ("SIGTERM", 8), ("SIGUSR1", 7)])
def test_a_stopped_run_loses_no_step(name, step, reference, command_line, tmp_path, monkeypatch, capfd):
    """Step 8 has a checkpoint anyway, and the model grows between step 7 and step 8."""
    handler = signal.getsignal(signal.SIGTERM)
    settings = (EVERY_FOURTH_STEP, f"general.runs_folder={tmp_path}")
    with monkeypatch.context() as patch:
        from tokenformer.trainer import bootstrap

        bootstrap()
        stop_at(step, name, patch)
        with pytest.raises(SystemExit) as end:
            command_line(*settings)
    assert end.value.code == STATUS[name]
    assert signal.getsignal(signal.SIGTERM) is handler
    (said,) = [line for line in capfd.readouterr().err.splitlines() if line.startswith("stopped by")]
    assert name in said and f"step {step} of 16" in said and "same command" in said
    assert latest_step(tmp_path / RUN) == step
    assert command_line(*settings) == 0
    assert_same_end(tmp_path / RUN, reference)


def test_one_process_that_is_asked_ends_all_with_one_message(tiny_config, reference, tmp_path, monkeypatch):
    monkeypatch.setenv("STOPPED_RANK", "1")
    settings = (*TWO_REPLICAS, EVERY_FOURTH_STEP, f"general.runs_folder={tmp_path}")
    training = start_training(tiny_config, *settings, ranks=2, program=(str(PROGRAMS / "stopped_rank.py"),))
    try:
        assert [process.wait(120) for process in training.processes] == [143, 143], training.output()
        assert training.output().count("stopped by SIGTERM after step 5 of 16") == 1
    finally:
        training.end()
    assert latest_step(tmp_path / RUN) == 5


DIVERGING = (
    "optimizer.learning_rate_scheduler.learning_rate=1000",
    "optimizer.weight_decay=1000",  # weights grow a millionfold each step
    "growth=null",
    "checkpoints.checkpoint_interval=1",
)


@pytest.mark.parametrize("clipping", [(), ("optimizer.clip_grad=null",)], ids=["clipped", "not clipped"])
def test_a_diverged_run_stops_and_leaves_what_is_finite(command_line, tmp_path, clipping, capfd):
    settings = (*DIVERGING, *clipping, f"general.runs_folder={tmp_path}")
    assert command_line(*settings) == 2
    (said,) = [line for line in capfd.readouterr().err.splitlines() if "training diverged" in line]
    run = tmp_path / RUN
    saved = latest_step(run) if (run / "checkpoints" / "latest.txt").exists() else None
    for words in (
        "is not finite at step",
        "learning rate",
        "no checkpoint yet" if saved is None else f"checkpoints/{saved}",
    ):
        assert words in said
    for folder in (run / "checkpoints").glob("[0-9]*"):
        assert all(tensor.isfinite().all() for tensor in weights(folder).values())
    for line in (run / "metrics.jsonl").read_text().splitlines():
        json.loads(line, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert all(line["lm_loss"] is not None for line in metrics(run) if "lr" in line)


def test_processes_without_the_loss_stop_too(tiny_config, tmp_path):
    settings = (*DIVERGING, "parallelism.pp=2", f"general.runs_folder={tmp_path}")
    training = start_training(tiny_config, *settings, ranks=2)
    try:
        assert [process.wait(120) for process in training.processes] == [2, 2], training.output()
        assert training.output().count("training diverged") == 1
    finally:
        training.end()


def test_the_newest_checkpoints_stay(train_here):
    run = train_here("checkpoints.keep_last=2", "checkpoints.checkpoint_interval=3")
    assert {path.name for path in (run / "checkpoints").iterdir()} == {"15", "16", "latest.txt"}


def test_rungs_of_the_ladder_stay_beside_them(train_here, monkeypatch):
    from tokenformer.curriculum import budget

    monkeypatch.setattr(budget, "_LADDER_STEPS", ((300, 10_000),))
    run = train_here("checkpoints.keep_last=1", "checkpoints.babylm_ladder=true")
    steps = {int(path.name) for path in (run / "checkpoints").iterdir() if path.name.isdecimal()}
    rungs = {json.loads((run / "checkpoints" / str(step) / "curriculum.json").read_text())["rung"] for step in steps}
    assert {300, 600} <= rungs and 16 in steps
    assert len(steps) == len(rungs)


def test_checkpoints_on_disk_count_without_the_file_that_names_the_latest(reference, train_here, tmp_path):
    from tests.support.training.run_files import rewound_copy

    stopped = rewound_copy(reference, tmp_path, step=9)
    (stopped / "checkpoints" / "latest.txt").unlink()
    first = (stopped / "checkpoints" / "9").stat().st_ino
    train_here(runs_folder=tmp_path)
    assert (stopped / "checkpoints" / "9").stat().st_ino == first
    assert_same_end(stopped, reference)
