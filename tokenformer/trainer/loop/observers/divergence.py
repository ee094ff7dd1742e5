"""Stops a run whose numbers are not finite any more."""

import math

from tokenformer.errors import UserError
from tokenformer.observers import FinishedStep, Observer
from tokenformer.trainer.checkpoint.records import latest_checkpoint
from tokenformer.trainer.loop.agreement import largest_of_all

CAUSES = ("", "loss", "gradient", "weight")


class Divergence(Observer):
    """Looks at the loss and the gradient of every step, before anything is written of it.

    Raises, after a step:
        UserError: in every process, when a number is not finite in one.
    """

    def after_step(self, trainer, step):
        refuse_infinite(trainer, _cause(trainer, step), step.number, step.learning_rate)


def refuse_infinite(trainer, cause: str, step: int, learning_rate: float) -> None:
    """Ends the run in every process when one of them has found a cause.

    Args:
        cause: one of CAUSES; the empty one is none.

    Raises:
        UserError: names the step, the learning rate and the newest checkpoint.
    """
    found = CAUSES[largest_of_all(CAUSES.index(cause), trainer.parallel_context)]
    if not found:
        return
    folder = trainer.run.config.checkpoints_folder
    good = latest_checkpoint(folder)
    kept = "there is no checkpoint yet" if good is None else f"the last good checkpoint is {good}"
    raise UserError(
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
