"""The observers of a run, in the order in which they are called."""

from tokenformer.trainer.loop.observers.checkpoints import Checkpoints
from tokenformer.trainer.loop.observers.evaluation import Evaluation
from tokenformer.trainer.loop.observers.growing import Growing
from tokenformer.trainer.loop.observers.held_out import HeldOut
from tokenformer.trainer.loop.observers.metrics_writer import MetricsWriter
from tokenformer.trainer.loop.observers.observer import Observer
from tokenformer.trainer.loop.observers.progress_bar import ProgressBar
from tokenformer.trainer.loop.observers.step_lines import StepLines


def standard_observers() -> list[Observer]:
    """A new observer of each kind.

    First those that write lines, since all others may log; then those that measure, before the step's line is made of
    what they found; last the checkpoint, which holds the state of all.
    """
    return [MetricsWriter(), ProgressBar(), HeldOut(), Growing(), StepLines(), Evaluation(), Checkpoints()]
