"""A run grows at the steps that its plan foresaw, to the sizes that it foresaw."""

import json

import pytest

from tests.support.training.run_files import event_steps, growth_lines, step_lines, weights
from tokenformer.trainer.loop.validation import HeldOutLoss

TRIGGERS = {
    "complexity from the start": ("{name: complexity, thresholds: [0.0, 20.0]}",),
    "complexity of a level": ("{name: complexity, thresholds: [9.0, 24.0]}",),
    "percentiles": ("{name: complexity, percentiles: [30, 60]}",),
    "steps": ("{name: schedule, steps: [1, 15]}",),
    "words": ("{name: schedule, words: [100, 400]}",),
    "tokens": ("{name: schedule, tokens: [300, 1500]}",),
    "FLOPs": ("{name: schedule, flops: [1.0e+8, 4.0e+8]}",),
    "admitted text": ("{name: complexity, admitted: [40, 80]}",),
    "any": ("{name: any, of: [{name: schedule, steps: [5, 14]}, {name: complexity, percentiles: [60, 61]}]}",),
    "all": ("{name: all, of: [{name: schedule, steps: [5, 14]}, {name: complexity, percentiles: [60, 61]}]}",),
    "not after a step": ("{name: schedule, steps: [3, 9]}", "growth.latest_step=8"),
    "not before a step": ("{name: schedule, steps: [1, 2]}", "growth.earliest_step=4"),
    "not too close together": ("{name: schedule, steps: [3, 4]}", "growth.minimum_steps_between=6"),
    "never": ("{name: complexity, thresholds: [1000.0]}",),
}


@pytest.mark.parametrize("trigger", TRIGGERS.values(), ids=TRIGGERS.keys())
def test_events_come_when_the_plan_says(train_here, trigger):
    settings = (f"growth.trigger={trigger[0]}", *trigger[1:])
    run = train_here(*settings, "checkpoints.checkpoint_interval=16", "tokens.val_check_interval=-1")
    stages = json.loads((run / "stages.json").read_text())
    assert event_steps(run) == [stage["step"] for stage in stages[1:]]
    assert [line["growth/reason"] for line in growth_lines(run)] == [stage["reason"] for stage in stages[1:]]
    assert {line["growth/parameters"] for line in step_lines(run)} <= {stage["parameters"] for stage in stages}


def test_limits_move_events(train_here):
    settings = ("checkpoints.checkpoint_interval=16", "tokens.val_check_interval=-1")
    trigger = "growth.trigger={name: schedule, steps: [1, 2]}"
    run = train_here(trigger, "growth.earliest_step=4", "growth.minimum_steps_between=6", *settings)
    assert event_steps(run) == [4, 10]


def test_progress_of_the_run_is_that_of_the_stages(reference):
    stages = json.loads((reference / "stages.json").read_text())
    at_step = {line["iteration_step"]: line for line in step_lines(reference)}
    for stage in stages[1:]:
        line, progress = at_step[stage["step"]], stage["progress"]
        assert line["curriculum/complexity"] == progress["complexity"]
        assert line["consumed_words"] == progress["words"]
        assert line["consumed_tokens"] == progress["tokens"]


def test_the_size_of_each_stage_is_counted_as_its_weights_are(reference):
    stages = json.loads((reference / "stages.json").read_text())
    steps = [1, *(step + 1 for step in event_steps(reference))]
    counted = [
        sum(tensor.numel() for tensor in weights(reference / "checkpoints" / str(step)).values()) for step in steps
    ]
    assert counted == [stage["parameters"] for stage in stages]


def test_complexity_rises_from_stage_to_stage(reference):
    first, second = growth_lines(reference)
    complexity = {line["iteration_step"]: line["curriculum/complexity"] for line in step_lines(reference)}
    assert complexity[1] < complexity[first["iteration_step"]] < complexity[second["iteration_step"]]


def test_growth_that_is_not_exact_is_taken_as_it_is(train_here):
    """Random keys in a norm that old tokens share change the function; it is offered for comparison."""
    shared = "growth.operators.tokenformer={name: append_tokens, new_tokens: zero_values, norm: shared}"
    run = train_here(shared, "checkpoints.checkpoint_interval=16")
    assert all(abs(line["growth/loss_after"] - line["growth/loss_before"]) > 1e-5 for line in growth_lines(run))


def test_growth_that_should_be_exact_and_is_not_stops_the_run(command_line, tmp_path, monkeypatch, capfd):
    losses = iter([5.0, 5.1])
    monkeypatch.setattr(HeldOutLoss, "held_batch_loss", lambda self, model: next(losses))
    assert command_line(f"general.runs_folder={tmp_path}") == 2
    line = capfd.readouterr().err.splitlines()[-1]
    assert "growth.tolerance" in line and "the last checkpoint is as it was. Raise growth.tolerance" in line
    run = tmp_path / "tiny"
    [event] = event_steps(run)
    assert (run / "checkpoints" / "latest.txt").read_text() == str(event)


def test_training_says_when_growth_falls_outside_the_constant_part_of_the_learning_rate(train_here, capfd):
    seldom = ("checkpoints.checkpoint_interval=16", "tokens.val_check_interval=-1")
    train_here("growth.trigger={name: schedule, steps: [2, 14]}", *seldom)
    notes = [line for line in capfd.readouterr().err.splitlines() if line.startswith("Note: ")]
    assert notes == [
        "Note: the growth after step 2 falls into the warm-up of 3 steps.",
        "Note: the growth after step 14 falls into the decay of the learning rate.",
    ]


def test_training_has_no_notes_where_growth_is_where_it_belongs(train_here, capfd):
    seldom = ("checkpoints.checkpoint_interval=16", "tokens.val_check_interval=-1")
    train_here("growth.trigger={name: schedule, steps: [4, 8]}", *seldom)
    assert "Note: " not in capfd.readouterr().err
