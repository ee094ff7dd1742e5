"""The interface of an observer, which a run calls while it trains, and the registry of those that a YAML may name."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tokenformer.config.registry import Registry

if TYPE_CHECKING:
    import torch

Line = dict[str, Any]
"""Key -> value of a line of metrics, by `run_folder.keys`."""


@dataclass
class FinishedStep:
    """A training step that is done.

    Args:
        number: from 1.
        progress: where the run stands after it, a `growth.triggers.Progress`.
        loss: nats a token, the mean over the step's batch; None in processes of pipeline stages without the loss.
        learning_rate: with which it was done.
        seconds: of the step alone.
        measured: keys of metrics that observers measured after the step; they enter the step's line.
    """

    number: int
    progress: Any
    loss: "torch.Tensor | None"
    learning_rate: float
    seconds: float
    measured: Line = field(default_factory=dict)


class Observer:
    """Watches a run while it trains. Every method does nothing until a subclass overrides it.

    Each process of a run has its own observers, and calls them in the same order. So a method may use collectives,
    unless it says otherwise. `trainer` is the run's `TokenformerTrainer`.
    """

    def before_training(self, trainer: Any) -> None:
        """Before the first step of this process. The checkpoint that it goes on after is `trainer.start.checkpoint`."""

    def before_step(self, trainer: Any) -> None:
        """Before the step `trainer.iteration_step`."""

    def after_step(self, trainer: Any, step: FinishedStep) -> None:
        """After a step."""

    def log(self, trainer: Any, line: Line) -> None:
        """A line of metrics. Only the process that writes the run's files calls this."""

    def write_state(self, trainer: Any, folder: Path) -> None:
        """Writes what the observer must know after a resume into the folder of a checkpoint.

        Only the process that writes the run's files calls this.
        """

    def close(self, trainer: Any) -> None:
        """After the last step, or after an error. No collectives: another process may have failed."""


OBSERVERS: Registry[type[Observer]] = Registry("observer")
"""Name -> class, a dataclass whose fields are the keys that the user may set; modules from outside enter theirs."""
