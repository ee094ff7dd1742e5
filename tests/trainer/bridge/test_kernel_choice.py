"""The same run under each kernel: the same losses, step by step, through two growth events."""

import pytest

from tests.support.training.run_files import event_steps, step_lines
from tokenformer.trainer.loop import launch
from tokenformer.trainer.loop.validation import HeldOutLoss

STEPS = 200
# At four times this learning rate training is chaotic, and rounding errors grow a hundredfold in twenty steps.
LONG = (
    "optimizer.learning_rate_scheduler.learning_rate=5.0e-4",
    f"tokens.train_steps={STEPS}",
    "tokens.val_check_interval=-1",
    f"checkpoints.checkpoint_interval={STEPS}",
    f"optimizer.learning_rate_scheduler.lr_decay_starting_step={STEPS - 20}",
    "optimizer.learning_rate_scheduler.lr_decay_steps=20",
)
# Triton's interpreter takes milliseconds a row.
SHORT = (
    "tokens.train_steps=6",
    "tokens.micro_batch_size=1",
    "tokens.sequence_length=4",
    "tokens.val_check_interval=-1",
    "validation.batch_size=1",
    "growth.trigger={name: schedule, steps: [2, 4]}",
    "growth.minimum_steps_between=1",
    "checkpoints.checkpoint_interval=100",
    "model.model_config.num_hidden_layers=1",
    "optimizer.learning_rate_scheduler.lr_decay_starting_step=5",
    "optimizer.learning_rate_scheduler.lr_decay_steps=1",
)


def losses(run) -> list[float]:
    return [line["lm_loss"] for line in step_lines(run)]


def train_under(kernel: str, train_here, tmp_path, settings):
    return train_here(*settings, f"model.model_config.kernel={kernel}", runs_folder=tmp_path / kernel)


def test_torch_and_reference_have_the_same_losses(train_here, tmp_path):
    runs = [train_under(kernel, train_here, tmp_path, LONG) for kernel in ("torch", "reference")]
    ours, expected = (losses(run) for run in runs)
    assert len(ours) == STEPS and len(event_steps(runs[0])) == 2
    assert ours == pytest.approx(expected, abs=1e-5)
    assert ours[-1] < ours[0] - 0.5


def test_triton_has_the_same_losses(train_here, tmp_path, monkeypatch, capfd):
    pytest.importorskip("triton")
    monkeypatch.setattr(HeldOutLoss, "measure", lambda self, model: {"val/loss": 1.0})
    ours, expected = (train_under(kernel, train_here, tmp_path, SHORT) for kernel in ("triton", "torch"))
    assert len(losses(ours)) == 6 and len(event_steps(ours)) == 2
    assert losses(ours) == pytest.approx(losses(expected), abs=1e-5)
    said = capfd.readouterr().err
    assert "kernel triton on cpu" in said and "kernel torch on cpu" in said


def test_a_kernel_that_cannot_run_is_one_line_before_work_starts(command_line, tmp_path, monkeypatch, capfd):
    def refuse(name, device):
        raise ValueError("kernel 'triton' cannot run: there is no compiler")

    monkeypatch.setattr(launch, "choose_backend", refuse)
    assert command_line("model.model_config.kernel=triton", f"general.runs_folder={tmp_path}") == 2
    said = capfd.readouterr().err.splitlines()
    assert said[-1].endswith("model.model_config.kernel: kernel 'triton' cannot run: there is no compiler")
    assert list(tmp_path.iterdir()) == []
