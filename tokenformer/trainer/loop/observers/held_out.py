"""Measures the held-out loss before the first step, and after the steps of which the config says so."""

from tokenformer.observers import Observer


class HeldOut(Observer):
    """Adds the held-out loss to the lines of steps; the one before the first step is a line of its own."""

    def before_training(self, trainer):
        if trainer.start.checkpoint is None:
            losses = trainer.held_out.measure(trainer.unwrapped_model)
            trainer.log({**trainer.position(trainer.progress(0)), **losses})

    def after_step(self, trainer, step):
        if trainer.run.measures_validation(step.number):
            step.measured |= trainer.held_out.measure(trainer.unwrapped_model)
