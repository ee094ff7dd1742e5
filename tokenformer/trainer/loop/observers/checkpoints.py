"""Writes checkpoints after the steps of which the config says so."""

from tokenformer.observers import Observer


class Checkpoints(Observer):
    """Writes a checkpoint at the interval, at the rungs of the ladder, and at the end."""

    def after_step(self, trainer, step):
        if trainer.run.saves_checkpoint(step.number):
            trainer.save_checkpoint()
