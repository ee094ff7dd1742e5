"""A run that grows at a plateau of its losses: every rank decides the same, and so does a resumed run."""

import json
from pathlib import Path

import numpy as np
import pytest

from tests.support.places import PROGRAMS
from tests.support.training.launching import start_training
from tests.support.training.run_files import (
    assert_same_end,
    checkpoint,
    event_steps,
    growth_lines,
    rewound_copy,
    step_lines,
)
from tests.support.training.tiny_run import RUN, TWO_REPLICAS
from tokenformer.trainer.run.prepared_run import PreparedRun
from tokenformer.trainer.run.start import starting_point

# The tiny run's training loss falls fast at first; its validation loss reaches the rate only in the second stage. What
# decides is 2 % away from its level at least, far more than layouts differ by.
PLATEAUS = """{name: any, of: [
  {name: plateau, loss: training, average_steps: 2, improvement_per_petaflop: 2.0e+5, patience: 1, minimum_points: 3},
  {name: all, of: [{name: validation_not_rising},
                   {name: plateau, improvement_per_petaflop: 3.25e+5, minimum_points: 5, events: 2}]}]}"""
KNOWN_BEFOREHAND = """growth.trigger={name: any, of: [
  {name: complexity, percentiles: [30, 60]}, {name: schedule, flops: [1.3e+8, 9.0e+8]}]}"""
SETTINGS = (f"growth.trigger={PLATEAUS}", "tokens.val_check_interval=1")
LOSSES_BY_RANK = str(PROGRAMS / "losses_by_rank.py")
EVENTS = [8, 13]


def recorded(run, step):
    """The series of a checkpoint's losses.json by source."""
    record = json.loads((checkpoint(run, step) / "losses.json").read_text())
    return {series["source"]: series for series in record["series"]}


@pytest.fixture(scope="module")
def plateau_run(command_line, tmp_path_factory):
    """The folder of the tiny run with these triggers, trained without interruption."""
    folder = tmp_path_factory.mktemp("plateau")
    assert command_line(*SETTINGS, f"general.runs_folder={folder}") == 0
    return folder / RUN


def test_losses_decide_when_it_grows(plateau_run):
    assert event_steps(plateau_run) == EVENTS
    first, second = (line["growth/reason"] for line in growth_lines(plateau_run))
    assert first.startswith("training loss falls by ") and first.endswith(" a petaflop < 200000")
    assert second.startswith("validation loss does not rise and validation loss falls by ")


def test_stages_that_losses_decide_are_planned_as_such(plateau_run):
    start, *stages = json.loads((plateau_run / "stages.json").read_text())
    assert (start["step"], start["earliest_step"], start["latest_step"]) == (0, 0, 0)
    assert [stage["earliest_step"] for stage in stages] == [5, 10]
    for stage, line in zip(stages, growth_lines(plateau_run), strict=True):
        assert stage["step"] is stage["latest_step"] is stage["flops"] is None
        assert stage["reason"] == "depends on losses"
        assert stage["parameters"] == line["growth/parameters"]
        assert stage["earliest_step"] < line["iteration_step"]


def test_a_checkpoint_records_the_losses_that_the_metrics_tell(plateau_run):
    lines = {line["iteration_step"]: line for line in step_lines(plateau_run)}
    for step in (7, 8, 9, 13, 14):
        series, grown = recorded(plateau_run, step), [event for event in EVENTS if event < step]
        expected = range(max(1, step - 4), step + 1)
        assert [point["step"] for point in series["validation"]["points"]] == list(expected)
        windows = [end for end in range(2, step + 1, 2) if not grown or grown[-1] % 2 == 0 or end <= grown[-1]]
        windows += [end for event in grown if event % 2 for end in range(event + 2, step + 1, 2)]
        assert [point["step"] for point in series["training"]["points"]] == windows[-3:]
        for point in series["validation"]["points"] + series["training"]["points"]:
            assert point["flops"] == lines[point["step"]]["training_flops"]
        for point in series["validation"]["points"]:
            assert point["loss"] == lines[point["step"]]["val/loss"]
        for point in series["training"]["points"]:
            pair = [lines[point["step"] - back]["lm_loss"] for back in (1, 0)]
            assert point["loss"] == np.mean(pair)


def test_a_window_that_is_not_full_is_recorded_too(plateau_run):
    loss = {line["iteration_step"]: line["lm_loss"] for line in step_lines(plateau_run)}
    for step in (7, 9, 13, 14):
        series = recorded(plateau_run, step)["training"]
        assert (series["total"], series["count"]) == (loss[step], 1)
    assert recorded(plateau_run, 8)["training"]["count"] == 0


@pytest.mark.parametrize("event", EVENTS)
@pytest.mark.parametrize("offset", [-1, 0, 1], ids=["step before", "step of", "step after"])
def test_resumed_run_ends_bitwise_as_the_uninterrupted_one(plateau_run, train_here, tmp_path, event, offset):
    run = rewound_copy(plateau_run, tmp_path, event + offset)
    train_here(*SETTINGS, runs_folder=tmp_path)
    assert event_steps(run) == EVENTS
    assert_same_end(run, plateau_run)
    for step in range(event + offset, 17):
        ours, theirs = ((checkpoint(folder, step) / "losses.json").read_bytes() for folder in (run, plateau_run))
        assert ours == theirs


LAYOUTS = {"two replicas": TWO_REPLICAS, "two pipeline stages": ("parallelism.pp=2",)}


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS.keys())
def test_every_rank_knows_the_same_losses_and_decides_the_same(plateau_run, tiny_config, tmp_path, layout):
    settings = (*SETTINGS, *layout, f"general.runs_folder={tmp_path}")
    start_training(tiny_config, *settings, ranks=2, program=(LOSSES_BY_RANK,)).expect_success()
    first, second = (json.loads((tmp_path / f"rank-{rank}.json").read_text()) for rank in (0, 1))
    assert first == second
    assert first["event_steps"] == event_steps(tmp_path / RUN) == EVENTS
    assert first["losses"] == json.loads((checkpoint(tmp_path / RUN) / "losses.json").read_text())
    for source, series in recorded(plateau_run, 16).items():
        ours = recorded(tmp_path / RUN, 16)[source]
        assert [point["step"] for point in ours["points"]] == [point["step"] for point in series["points"]]
        assert [point["loss"] for point in ours["points"]] == pytest.approx(
            [point["loss"] for point in series["points"]], rel=1e-6
        )


@pytest.mark.slow
@pytest.mark.parametrize("event", EVENTS)
@pytest.mark.parametrize("offset", [-1, 0, 1], ids=["step before", "step of", "step after"])
def test_a_plateau_run_of_one_process_that_goes_on_in_two_grows_at_the_same_steps(
    plateau_run, tiny_config, tmp_path, event, offset
):
    run = rewound_copy(plateau_run, tmp_path, event + offset)
    settings = (*SETTINGS, *TWO_REPLICAS, f"general.runs_folder={tmp_path}")
    start_training(tiny_config, *settings, ranks=2).expect_success()
    assert event_steps(run) == EVENTS
    expected = [line["lm_loss"] for line in step_lines(plateau_run)]
    assert [line["lm_loss"] for line in step_lines(run)] == pytest.approx(expected, rel=1e-5)


@pytest.fixture(scope="module")
def planned_run(command_line, tmp_path_factory):
    """The folder of a run that grows first by FLOPs and then by complexity."""
    folder = tmp_path_factory.mktemp("planned")
    assert command_line(KNOWN_BEFOREHAND, f"general.runs_folder={folder}") == 0
    return folder / RUN


@pytest.mark.parametrize(
    "offset",
    [
        pytest.param(-1, id="step before"),
        pytest.param(0, id="step of", marks=pytest.mark.slow),
        pytest.param(1, id="step after", marks=pytest.mark.slow),
    ],
)
def test_a_run_of_one_process_that_goes_on_in_two_grows_at_the_same_steps(planned_run, tiny_config, tmp_path, offset):
    assert event_steps(planned_run) == [6, 12]
    run = rewound_copy(planned_run, tmp_path, 6 + offset)
    settings = (KNOWN_BEFOREHAND, *TWO_REPLICAS, f"general.runs_folder={tmp_path}")
    start_training(tiny_config, *settings, ranks=2).expect_success()
    assert event_steps(run) == [6, 12]
    assert [line["growth/reason"] for line in growth_lines(run)] == [
        line["growth/reason"] for line in growth_lines(planned_run)
    ]


@pytest.mark.parametrize("change", ["tokens.val_check_interval=2", "validation.levels=2"])
def test_what_the_trigger_reads_may_not_change_in_between(plateau_run, refusal, tmp_path, change):
    rewound_copy(plateau_run, tmp_path, 9)
    assert change.partition("=")[0] in refusal(*SETTINGS, change)


def test_what_no_trigger_reads_may(reference, tiny_config, tmp_path):
    rewound_copy(reference, tmp_path, 9)
    settings = ("tokens.val_check_interval=2", "validation.levels=2", f"general.runs_folder={tmp_path}")
    start = starting_point(PreparedRun.from_file(tiny_config, settings))
    assert (start.step, start.losses.series) == (9, ())


def damage(path):
    path.write_text("{")


def replace_by_another(path):
    record = json.loads(path.read_text())
    record["series"][0]["window"] = 3
    path.write_text(json.dumps(record))


@pytest.mark.parametrize("harm", [damage, replace_by_another, Path.unlink])
def test_a_record_that_does_not_serve_is_named(plateau_run, refusal, tmp_path, harm):
    folder = checkpoint(rewound_copy(plateau_run, tmp_path, 9))
    harm(folder / "losses.json")
    message = refusal(*SETTINGS)
    assert "losses.json" in message and str(folder) in message


def test_validation_that_is_never_measured_is_refused(refusal):
    message = refusal(SETTINGS[0], "tokens.val_check_interval=-1")
    assert "growth.trigger reads validation losses" in message and "tokens.val_check_interval is -1" in message
