"""Ends a run that is asked to end, without losing a step."""

import signal
import threading
from time import monotonic as now

from tokenformer.observers import Observer
from tokenformer.trainer.loop.agreement import largest_of_all

# Exit status of each signal. Slurm sends SIGUSR1 some time before it ends a job.
STATUS = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGUSR1: 143}
SECONDS_BETWEEN_SIGNALS = 1.0


class TrainingStopped(SystemExit):
    """The run has ended on a signal, after a whole step that its newest checkpoint holds. Its text is for the user."""

    def __init__(self, status: int, message: str):
        super().__init__(status)
        self.message = message

    def __str__(self) -> str:
        return self.message


class Stopping(Observer):
    """Waits for the end of the step, lets it be saved, and leaves.

    A signal may reach one process alone, or all of them, `torchrun` included, which hands it on once more. So a signal
    that comes soon after another one is the same request; one that comes later ends the process at once.
    """

    received: signal.Signals | None = None
    received_at = 0.0

    def before_training(self, trainer):
        self.handlers = {}
        if threading.current_thread() is threading.main_thread():
            self.handlers = {number: signal.signal(number, self._receive) for number in STATUS}

    def after_step(self, trainer, step):
        number = largest_of_all(self.received or 0, trainer.parallel_context)
        if not number or step.number == trainer.config.tokens.train_steps:
            return
        if not trainer.run.saves_checkpoint(step.number):
            trainer.save_checkpoint()
        received, folder = signal.Signals(number), trainer.run.config.checkpoints_folder / str(step.number)
        steps = trainer.config.tokens.train_steps
        raise TrainingStopped(
            STATUS[received],
            f"stopped by {received.name} after step {step.number} of {steps}, which is saved as {folder}: the same "
            "command goes on from there",
        )

    def close(self, trainer):
        for number, handler in self.handlers.items():
            signal.signal(number, handler)

    def _receive(self, number: int, frame) -> None:
        if self.received is not None and now() - self.received_at > SECONDS_BETWEEN_SIGNALS:
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)
        self.received, self.received_at = signal.Signals(number), now()
