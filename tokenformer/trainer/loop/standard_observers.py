"""The observers of a run, in the order in which they are called."""

from tokenformer.config.building import build_named
from tokenformer.config.sections import RunConfig
from tokenformer.observers import OBSERVERS, Observer
from tokenformer.trainer.loop.observers.checkpoints import Checkpoints
from tokenformer.trainer.loop.observers.divergence import Divergence
from tokenformer.trainer.loop.observers.evaluation import Evaluation
from tokenformer.trainer.loop.observers.growing import Growing
from tokenformer.trainer.loop.observers.held_out import HeldOut
from tokenformer.trainer.loop.observers.metrics_writer import MetricsWriter
from tokenformer.trainer.loop.observers.progress_bar import ProgressBar
from tokenformer.trainer.loop.observers.samples import Samples
from tokenformer.trainer.loop.observers.step_lines import StepLines
from tokenformer.trainer.loop.observers.stopping import Stopping
from tokenformer.trainer.loop.observers.trackers import trackers


def standard_observers(config: RunConfig) -> list[Observer]:
    """A new observer of each kind, and those that the config asks for.

    First those that write lines, since all others may log. Then the one that stops a run before anything is written of
    a step that went wrong, and those that measure, before the step's line is made of what they found. Those from
    outside of the package may measure, too. Last the checkpoint, which holds the state of all, and the end on a signal.
    """
    return [
        MetricsWriter(),
        *trackers(config),
        ProgressBar(),
        Divergence(),
        HeldOut(),
        Growing(),
        *(build_named(section, OBSERVERS, f"observers.{index}") for index, section in enumerate(config.observers)),
        Samples(),
        StepLines(),
        Evaluation(),
        Checkpoints(),
        Stopping(),
    ]
