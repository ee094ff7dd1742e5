"""A control grows at the steps at which another run grew, whatever the order of its text, and needs that run once."""

import json
import shutil

import pytest
import yaml

from tests.support.training.run_files import assert_same_end, event_steps, rewound_copy
from tokenformer.trainer.run.prepared_run import PreparedRun

RANDOM = "curriculum.ordering={name: random}"


def same_as(folder) -> str:
    return f"growth.trigger={{name: same_as, run: {folder}}}"


@pytest.fixture
def other(reference, tmp_path):
    """A copy of the tiny run under a name of its own."""
    return shutil.copytree(reference, tmp_path / "other" / "grown")


def test_a_control_grows_at_the_same_steps_and_resumes_when_the_other_run_is_gone(train_here, other, tmp_path):
    settings = (RANDOM, same_as(other))
    control = train_here(*settings)
    assert event_steps(control) == event_steps(other)
    resolved = yaml.safe_load((control / "config.yaml").read_text())
    assert resolved["growth"]["trigger"] == {"name": "same_as", "run": str(other), "steps": event_steps(other)}
    stages = json.loads((control / "stages.json").read_text())
    assert [stage["step"] for stage in stages[1:]] == event_steps(other)

    shutil.rmtree(other)
    stopped = rewound_copy(control, tmp_path / "again", step=event_steps(control)[0])
    train_here(*settings, runs_folder=tmp_path / "again")
    assert_same_end(stopped, control)


def test_it_also_stands_among_other_triggers(tiny_config, other):
    both = f"growth.trigger={{name: any, of: [{{name: same_as, run: {other}}}, {{name: schedule, steps: [15, 16]}}]}}"
    run = PreparedRun.from_file(tiny_config, [both])
    assert [stage.step for stage in run.stages()[1:]] == event_steps(other)


def metrics_until(folder, step):
    path = folder / "metrics.jsonl"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(line for line in lines if json.loads(line)["iteration_step"] <= step))


def without_growth(folder):
    path = folder / "metrics.jsonl"
    path.write_text("".join(line for line in path.read_text().splitlines(True) if "growth/event" not in line))


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (shutil.rmtree, ["is not the folder of a run", "runs/NAME"]),
        (lambda folder: metrics_until(folder, 15), ["ends after step 15 of 16", "finish it"]),
        (without_growth, ["did not grow", "growth: null"]),
    ],
    ids=["missing", "unfinished", "not grown"],
)
def test_a_run_that_cannot_be_followed_is_refused(refusal, other, spoil, words):
    spoil(other)
    message = refusal(same_as(other))
    for word in ("growth.trigger: same_as", str(other), *words):
        assert word in message


def test_keys_that_do_not_allow_the_steps_are_refused(refusal, other):
    first, second = event_steps(other)
    for key, value in (
        ("earliest_step", first + 1),
        ("latest_step", second - 1),
        ("minimum_steps_between", second - first + 1),
    ):
        assert f"growth.{key} {value} does not allow" in refusal(same_as(other), f"growth.{key}={value}")
    operators = "growth.operators.tokenformer=[{name: append_tokens, factor: 2}]"
    assert "lists 1 operators, and growth.trigger makes 2 events" in refusal(same_as(other), operators)
