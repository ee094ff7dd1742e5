"""What a run does when a gradient is not finite: steps are left out, or it starts again, a bounded number of times."""

import pytest

from tests.support.places import PROGRAMS
from tests.support.training.launching import clean_environment, run_python, train_arguments
from tests.support.training.run_files import (
    assert_same_end,
    checkpoint,
    differing,
    latest_step,
    metrics,
    optimizer_state,
    weights,
)
from tests.support.training.tiny_run import RUN


@pytest.fixture
def diverging(tiny_config, tmp_path):
    def train(steps: str, *settings: str, once: bool = False):
        variables = {"INFINITE_AT": steps} | ({"INFINITE_ONCE": str(tmp_path / "happened")} if once else {})
        arguments = train_arguments(tiny_config, (f"general.runs_folder={tmp_path}", *settings))
        return run_python([str(PROGRAMS / "infinite_gradient.py"), *arguments], clean_environment(**variables))

    return train


def test_a_step_is_left_out_and_changes_nothing(diverging, tmp_path, reference):
    ended = diverging("3,5", "optimizer.on_divergence=skip", "growth=null")
    run = tmp_path / RUN
    assert ended.returncode == 0 and latest_step(run) == 16, ended.stderr
    assert "step 5 is left out: its gradient is not finite (2 of at most 3)" in ended.stderr
    before, after = checkpoint(run, 4), checkpoint(run, 5)
    assert differing(weights(before), weights(after)) == [] != differing(weights(after), weights(checkpoint(run, 6)))
    assert differing(optimizer_state(before), optimizer_state(after)) == []
    lines = {line["iteration_step"]: line for line in metrics(run) if "lr" in line}
    assert [step for step, line in lines.items() if "lm_loss" not in line] == [3, 5]
    assert lines[5]["grad_norm"] is None and lines[16]["consumed_tokens"] == 16 * 4 * 32
    assert differing(weights(checkpoint(run, 2)), weights(checkpoint(reference, 2))) == []


def test_too_many_steps_end_the_run(diverging, tmp_path):
    ended = diverging("3,4,5", "optimizer.on_divergence=skip", "optimizer.most_divergences=2")
    assert ended.returncode == 2 and "Traceback" not in ended.stderr
    assert "training diverged: a gradient is not finite at step 5" in ended.stderr
    assert latest_step(tmp_path / RUN) == 4


@pytest.mark.slow
def test_a_fault_of_the_machine_is_undone_by_a_restart(diverging, reference, tmp_path):
    restart = ("optimizer.on_divergence=restart_from_checkpoint",)
    ended = diverging("9", *restart, "checkpoints.checkpoint_interval=4", once=True)
    assert ended.returncode == 0, ended.stderr
    assert "Restart 1 from the newest checkpoint" in ended.stderr and "goes on after step 8 of 16" in ended.stderr
    assert_same_end(tmp_path / RUN, reference)


@pytest.mark.slow
def test_what_diverges_again_ends_after_the_restarts(diverging):
    restart = ("optimizer.on_divergence=restart_from_checkpoint", "optimizer.most_divergences=1")
    ended = diverging("4", *restart)
    assert ended.returncode == 2 and ended.stderr.count("Restart 1 from") == 1 and "Restart 2" not in ended.stderr
    assert "training diverged: a gradient is not finite at step 4" in ended.stderr.splitlines()[-1]


def test_without_clipping_no_step_can_be_left_out(refusal):
    message = refusal("optimizer.on_divergence=skip", "optimizer.clip_grad=null")
    assert "optimizer.on_divergence is skip" in message and "optimizer.clip_grad" in message
