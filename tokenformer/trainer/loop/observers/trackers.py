"""Sends the metrics of a run to TensorBoard, Weights & Biases or trackio, when the YAML asks for it."""

import importlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tokenformer.config.sections import RunConfig
from tokenformer.observers import Line, Observer
from tokenformer.run_folder import keys
from tokenformer.run_folder.names import TENSORBOARD


class TensorBoard(Observer):
    """Writes each number of a line as a scalar, and texts as text, into the folder `tensorboard` of the run.

    Args:
        folder: of the run.
    """

    def __init__(self, folder: Path):
        self.folder = folder / TENSORBOARD
        self.writer: Any = None

    def before_training(self, trainer):
        if not trainer.is_writer:
            return
        from torch.utils.tensorboard import SummaryWriter

        # What an earlier start wrote of steps that are done again is not shown.
        self.writer = SummaryWriter(str(self.folder), purge_step=trainer.start_iteration_step + 1)

    def log(self, trainer, line):
        if self.writer is not None:
            step = line[keys.STEP]
            for key, number in numbers(line):
                self.writer.add_scalar(key, number, step)
            for key, text in texts(line):
                self.writer.add_text(key, text, step)

    def close(self, trainer):
        if self.writer is not None:
            self.writer.close()


class Dashboard(Observer):
    """Sends each line to a service whose module has wandb's `init`, `log` and `finish`.

    Args:
        name: of the module, of its extra and of its key under `logging`.
        options: further arguments of its `init`, by the run's config.
    """

    def __init__(self, name: str, options: Callable[[RunConfig], dict[str, Any]]):
        self.name, self.options = name, options
        self.service: Any = None

    def before_training(self, trainer):
        if not trainer.is_writer:
            return
        config = trainer.run.config
        self.service = importlib.import_module(self.name)
        self.service.init(project=config.general.project, name=config.general.run, **self.options(config))

    def log(self, trainer, line):
        if self.service is not None:
            self.service.log({**dict(numbers(line)), **dict(texts(line))})

    def close(self, trainer):
        if self.service is not None:
            self.service.finish()


def wandb(config: RunConfig) -> dict[str, Any]:
    """The arguments by which a resumed run goes on in the same charts."""
    return {"id": config.general.run, "resume": "allow", "dir": str(config.run_folder)}


def trackio(config: RunConfig) -> dict[str, Any]:
    """The argument by which a resumed run goes on in the same charts."""
    return {"resume": "allow"}


def trackers(config: RunConfig) -> Iterator[Observer]:
    """The trackers that the section `logging` asks for."""
    if config.logging.tensorboard:
        yield TensorBoard(config.run_folder)
    if config.logging.wandb:
        yield Dashboard("wandb", wandb)
    if config.logging.trackio:
        yield Dashboard("trackio", trackio)


def numbers(line: Line) -> Iterator[tuple[str, float]]:
    return ((key, value) for key, value in line.items() if isinstance(value, int | float))


def texts(line: Line) -> Iterator[tuple[str, str]]:
    return ((key, value) for key, value in line.items() if isinstance(value, str))
