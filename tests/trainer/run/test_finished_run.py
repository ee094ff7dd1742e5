"""The ends of a run's life: what it writes first, and what it says when it is over."""

import json

import pytest
import yaml

from tests.support.folders import all_bytes
from tests.support.training.launching import start_training
from tests.support.training.run_files import event_steps, held_out_steps, metrics, rewound_copy, step_lines
from tests.support.training.tiny_run import RUN
from tokenformer.trainer.run.prepared_run import PreparedRun


def test_a_finished_run_says_so_and_stays_as_it_is(reference, tiny_config):
    before = all_bytes(reference)
    output = start_training(tiny_config).expect_success()
    assert f"{reference} is finished: it has all 16 steps" in output
    assert f"tokenformer report {reference}" in output
    assert all_bytes(reference) == before


def test_its_folder_holds_config_stages_metrics_and_checkpoints(reference):
    assert {path.name for path in reference.iterdir()} == {
        "config.yaml",
        "stages.json",
        "reading.json",
        "metrics.jsonl",
        "checkpoints",
    }


def test_a_set_key_lands_in_the_runs_config_and_in_the_run(train_here):
    rate = "optimizer.learning_rate_scheduler.learning_rate=5.0e-3"
    run = train_here("optimizer.weight_decay=0.25", rate, "tokens.train_steps=5")
    content = yaml.safe_load((run / "config.yaml").read_text())
    assert content["optimizer"]["weight_decay"] == 0.25
    assert step_lines(run)[-1]["lr"] == 5.0e-3
    assert step_lines(run)[-1]["iteration_step"] == 5


def test_the_runs_config_names_every_key_and_trains_the_same_run(reference, train_here, tmp_path):
    run = train_here(config=reference / "config.yaml")
    assert metrics(run) == metrics(reference)
    resolved = yaml.safe_load((reference / "config.yaml").read_text())
    assert resolved["parallelism"]["dp"] == 1 and resolved["optimizer"]["zero_stage"] == 0


def test_a_run_starts_from_held_out_loss_before_its_first_step(reference):
    first = metrics(reference)[0]
    assert first["iteration_step"] == 0 and first["consumed_tokens"] == 0 and first["training_flops"] == 0
    # An untrained model is as good as guessing.
    assert first["val/loss"] == pytest.approx(5.95, abs=0.05)
    assert {"val/loss/easy", "val/loss/middle", "val/loss/hard"} < first.keys()


def test_held_out_loss_is_measured_at_its_interval_and_at_the_end(train_here):
    run = train_here("tokens.val_check_interval=5", "checkpoints.checkpoint_interval=16")
    assert held_out_steps(run) == [0, 5, 10, 15, 16]


def test_held_out_loss_does_not_depend_on_which_steps_are_logged(train_here):
    run = train_here(
        "tokens.val_check_interval=5",
        "logging.iteration_step_info_interval=4",
        "checkpoints.checkpoint_interval=16",
    )
    assert held_out_steps(run) == [0, 5, 10, 15, 16]


def test_held_out_loss_is_known_at_the_end_of_each_stage(reference):
    """It is measured at 4, 8, 12 and 16 anyhow."""
    assert held_out_steps(reference) == [0, 4, 8, 12, 16]
    ends = [line for line in metrics(reference) if "growth/stage_ends" in line]
    assert [line["iteration_step"] for line in ends] == [step for step in event_steps(reference) if step % 4]
    measured = {line["iteration_step"] for line in metrics(reference) if "val/loss" in line}
    assert set(event_steps(reference)) <= measured


def test_consumed_tokens_and_words_are_those_of_the_plan(reference, tiny_config):
    plan = PreparedRun.from_file(tiny_config).plan
    for line in step_lines(reference):
        samples = 4 * line["iteration_step"]
        assert line["consumed_tokens"] == 32 * samples
        assert line["consumed_words"] == pytest.approx(plan.words_before(samples), rel=1e-12)


def test_flops_are_the_sum_over_the_stages(reference):
    stages = json.loads((reference / "stages.json").read_text())
    per_token = {stage["parameters"]: stage["flops_per_token"] for stage in stages}
    total = 0
    for line in step_lines(reference):
        total += 4 * 32 * per_token[line["growth/parameters"]]
        assert line["training_flops"] == total


def test_time_goes_on_counting_after_a_resume(reference, train_here, tmp_path):
    rewound_copy(reference, tmp_path, step=9)
    run = train_here(runs_folder=tmp_path)
    assert run.name == RUN
    seconds = [json.loads(line).get("elapsed_seconds") for line in (run / "metrics.jsonl").read_text().splitlines()]
    known = [value for value in seconds if value is not None]
    assert known == sorted(known) and known[0] == 0 < known[-1]
