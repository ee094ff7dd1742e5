"""What observers make of a run: its files, its clock, and a user's own beside them."""

import json
import re
from dataclasses import dataclass
from itertools import pairwise

import pytest

from tests.support.training.run_files import step_lines
from tokenformer.config.keys import key
from tokenformer.observers import OBSERVERS, Observer
from tokenformer.run_folder.keys import KEYS
from tokenformer.run_folder.names import CHECKPOINT_FILES, FILES

SHORT = ("tokens.train_steps=6", "growth.trigger={name: schedule, steps: [3]}", "tokens.val_check_interval=2")
SHORT += ("checkpoints.checkpoint_interval=100", "optimizer.learning_rate_scheduler.lr_decay_starting_step=3")


def lines_of(run) -> list[dict]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def is_documented(key: str) -> bool:
    return any(re.fullmatch(re.escape(name).replace(r"\*", ".+"), key) for name in KEYS)


def test_a_run_writes_the_documented_keys_and_files_alone(reference):
    assert [key for line in lines_of(reference) for key in line if not is_documented(key)] == []
    assert {path.name for path in reference.iterdir()} <= FILES.keys()
    latest = reference / "checkpoints" / (reference / "checkpoints" / "latest.txt").read_text()
    assert {f"{path.name}/" if path.is_dir() else path.name for path in latest.iterdir()} <= CHECKPOINT_FILES.keys()


@pytest.fixture(scope="module")
def slowly_measured(live_trainer):
    """The lines of a run on a clock that a step advances by 1 s, growth by 10 s, and a measurement by 1000 s."""
    with pytest.MonkeyPatch.context() as patch, live_trainer(*SHORT) as trainer:
        from nanotron.trainer import DistributedTrainer

        from tokenformer.trainer.loop import clock
        from tokenformer.trainer.loop.observers import growing

        now = [0.0]

        def taking(seconds, function):
            def slow(*arguments, **options):
                now[0] += seconds
                return function(*arguments, **options)

            return slow

        patch.setattr(clock, "now", lambda: now[0])
        patch.setattr(DistributedTrainer, "training_step", taking(1, DistributedTrainer.training_step))
        patch.setattr(growing, "grow", taking(10, growing.grow))
        for method in ("measure", "held_batch_loss"):
            patch.setattr(trainer.held_out, method, taking(1000, getattr(trainer.held_out, method)))
        trainer.fit()
    return lines_of(trainer.run.config.run_folder)


def test_the_clock_of_a_step_knows_no_measurement_and_no_growth(slowly_measured):
    steps = [line for line in slowly_measured if "lm_loss" in line]
    assert [line["time_per_iteration_ms"] for line in steps] == [1000] * 6
    assert [line["tokens_per_sec"] for line in steps] == [128] * 6


def test_elapsed_seconds_count_steps_and_growth(slowly_measured):
    elapsed = {line["iteration_step"]: line["elapsed_seconds"] for line in slowly_measured if "lm_loss" in line}
    assert elapsed == {1: 1, 2: 2, 3: 3, 4: 14, 5: 15, 6: 16}
    (ends,) = [line for line in slowly_measured if "growth/stage_ends" in line]
    assert ends["elapsed_seconds"] == 3


def test_elapsed_seconds_never_fall(reference):
    elapsed = [line["elapsed_seconds"] for line in lines_of(reference) if "elapsed_seconds" in line]
    assert all(before <= after for before, after in pairwise(elapsed))


def test_observers_can_be_left_out_alone(live_trainer):
    """Without growth, held-out loss and checkpoints there is a run of one size that writes its steps."""
    with live_trainer(*SHORT) as trainer:
        from tokenformer.trainer.loop.observers.metrics_writer import MetricsWriter
        from tokenformer.trainer.loop.observers.step_lines import StepLines

        trainer.observers = [MetricsWriter(), StepLines()]
        trainer.fit()
    run = trainer.run.config.run_folder
    assert len(step_lines(run)) == 6
    assert {key for line in lines_of(run) for key in line if key.startswith("val/")} == set()
    assert len({line["growth/parameters"] for line in lines_of(run)}) == 1
    assert not (run / "checkpoints").exists()


def test_an_observer_of_the_yaml_sees_the_steps_and_adds_to_their_lines_and_to_checkpoints(live_trainer, monkeypatch):
    observers = []

    @dataclass
    class WeightNorm(Observer):
        power: float = key(2.0, "of the norm", above=0)

        def __post_init__(self):
            self.calls = []
            observers.append(self)

        def before_training(self, trainer):
            self.calls.append("training")

        def before_step(self, trainer):
            self.calls.append(trainer.iteration_step)

        def after_step(self, trainer, step):
            weights = [parameter.detach() for parameter in trainer.unwrapped_model.parameters()]
            step.measured["weight_norm"] = max(weight.norm(self.power).item() for weight in weights)

        def write_state(self, trainer, folder):
            (folder / "weight_norm.json").write_text(json.dumps(self.calls))

        def close(self, trainer):
            self.calls.append("closed")

    monkeypatch.setitem(OBSERVERS.data, "weight_norm", WeightNorm)
    with live_trainer(*SHORT, "observers=[{name: weight_norm, power: 1}]") as trainer:
        trainer.fit()
    observer = observers[-1]
    run = trainer.run.config.run_folder
    assert observer.calls == ["training", 1, 2, 3, 4, 5, 6, "closed"]
    assert all(line["weight_norm"] > 0 for line in step_lines(run))
    state = run / "checkpoints" / "6" / "weight_norm.json"
    assert json.loads(state.read_text()) == ["training", 1, 2, 3, 4, 5, 6]
