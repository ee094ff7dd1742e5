"""Ends a run whose numbers are not finite any more, or leaves out a few of its steps."""

import math
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from tokenformer.errors import UserError
from tokenformer.observers import FinishedStep, Observer
from tokenformer.trainer.checkpoint.records import latest_checkpoint
from tokenformer.trainer.loop.agreement import largest_of_all

CAUSES = ("", "loss", "gradient", "weight")


class Diverged(UserError):
    """A number is not finite."""


@contextmanager
def skipped_if_infinite(trainer) -> Iterator[None]:
    """Inside, the optimizer makes no step of a gradient that is not finite, where the config says skip.

    The step counts, with its samples and its learning rate; weights and moments stay as they are, in every process.
    """
    trainer.is_step_skipped = False
    if trainer.run.config.optimizer.on_divergence != "skip":
        yield
        return
    optimizer, make_step = trainer.optimizer, trainer.optimizer.step

    def guarded(*arguments, **options):
        is_infinite = not math.isfinite(trainer.grad_norm_unclipped)
        trainer.is_step_skipped = bool(largest_of_all(int(is_infinite), trainer.parallel_context))
        return None if trainer.is_step_skipped else make_step(*arguments, **options)

    optimizer.step = guarded
    try:
        yield
    finally:
        optimizer.step = make_step


class Divergence(Observer):
    """Looks at the loss and the gradient of every step, before anything is written of it.

    Raises, after a step:
        Diverged: in every process, when a number is not finite in one, or too many steps were left out.
    """

    skipped = 0

    def after_step(self, trainer, step):
        if trainer.is_step_skipped:
            self.skipped += 1
            most = trainer.run.config.optimizer.most_divergences
            if self.skipped <= most:
                step.loss = None
                if trainer.is_writer:
                    count = f"{self.skipped} of at most {most}"
                    line = f"step {step.number} is left out: its gradient is not finite ({count})"
                    print(line, file=sys.stderr, flush=True)
                return
        refuse_infinite(trainer, _cause(trainer, step), step.number, step.learning_rate)


def refuse_infinite(trainer, cause: str, step: int, learning_rate: float) -> None:
    """Ends the run in every process when one of them has found a cause.

    Args:
        cause: one of CAUSES; the empty one is none.

    Raises:
        Diverged: names the step, the learning rate and the newest checkpoint.
    """
    found = CAUSES[largest_of_all(CAUSES.index(cause), trainer.parallel_context)]
    if not found:
        return
    folder = trainer.run.config.checkpoints_folder
    good = latest_checkpoint(folder)
    kept = "there is no checkpoint yet" if good is None else f"the last good checkpoint is {good}"
    raise Diverged(
        f"training diverged: a {found} is not finite at step {step}, with learning rate {learning_rate:.3g}; {kept}. "
        "Lower optimizer.learning_rate_scheduler.learning_rate, or raise lr_warmup_steps, and start another run with "
        "general.run=NAME"
    )


def _cause(trainer, step: FinishedStep) -> str:
    if step.loss is not None and not math.isfinite(step.loss):
        return "loss"
    if trainer.config.optimizer.clip_grad is not None and not math.isfinite(trainer.grad_norm_unclipped):
        return "gradient"
    return ""
