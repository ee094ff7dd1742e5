"""TensorBoard and the services get what the metrics file has, when the YAML asks for them."""

import importlib.machinery
import sys
from collections import defaultdict
from types import ModuleType

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from tests.support.training.run_files import metrics
from tokenformer.config.nanotron_sections import Logging
from tokenformer.errors import MissingExtraError
from tokenformer.run_config import load_run_config
from tokenformer.trainer.loop.observers.trackers import trackers
from tokenformer.trainer.run.checks import check_settings

SHORT = ("tokens.train_steps=6", "growth.trigger={name: schedule, steps: [3]}", "tokens.val_check_interval=2")
SHORT += ("checkpoints.checkpoint_interval=100", "optimizer.learning_rate_scheduler.lr_decay_starting_step=3")
ASKED = ("logging.tensorboard=true", "logging.wandb=true", "logging.trackio=true")


class Service(ModuleType):
    """Stands in for wandb or trackio, and remembers what it was told."""

    def __init__(self, name: str):
        super().__init__(name)
        self.__spec__ = importlib.machinery.ModuleSpec(name, None)
        self.started, self.lines, self.finished = [], [], 0

    def init(self, **options):
        self.started.append(options)

    def log(self, line):
        self.lines.append(line)

    def finish(self):
        self.finished += 1


@pytest.fixture(scope="module")
def tracked(live_trainer):
    """The folder of a run that was sent to all three, and the services."""
    services = {name: Service(name) for name in ("wandb", "trackio")}
    with pytest.MonkeyPatch.context() as patch:
        for name, service in services.items():
            patch.setitem(sys.modules, name, service)
        with live_trainer(*SHORT, *ASKED) as trainer:
            trainer.fit()
    return trainer.run.config.run_folder, services


def test_tensorboard_has_every_number_of_the_metrics_file(tracked):
    run, _ = tracked
    events = EventAccumulator(str(run / "tensorboard")).Reload()
    expected = defaultdict(list)
    for line in metrics(run):
        for key, value in line.items():
            if isinstance(value, int | float):
                expected[key].append((line["iteration_step"], pytest.approx(value, rel=1e-6)))
    assert {key: [(point.step, point.value) for point in events.Scalars(key)] for key in expected} == expected


def test_services_get_every_line_under_the_names_of_project_and_run(tracked):
    run, services = tracked
    for service in services.values():
        (start,) = service.started
        assert (start["project"], start["name"], start["resume"]) == ("tokenformer", run.name, "allow")
        assert [line["iteration_step"] for line in service.lines] == [line["iteration_step"] for line in metrics(run)]
        assert service.finished == 1


@pytest.fixture
def config(tiny_config):
    """The config of the tiny run, which asks for no tracker."""
    return load_run_config(tiny_config)


def test_nothing_is_tracked_unasked(config):
    assert list(trackers(config)) == []


@pytest.mark.parametrize("name", ["wandb", "trackio"])
def test_a_missing_package_is_named_before_the_run(config, name, monkeypatch):
    monkeypatch.setattr("tokenformer.trainer.run.checks.find_spec", lambda package: None)
    config.logging = Logging(**{name: True})
    with pytest.raises(MissingExtraError, match=rf"logging.{name} needs .* pip install 'tokenformer\[{name}\]'"):
        check_settings(config)
