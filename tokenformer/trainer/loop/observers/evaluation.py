"""Scores the tasks of the `evaluation` section while the run trains."""

import time

from tokenformer.observers import Observer
from tokenformer.run_folder import keys
from tokenformer.trainer.loop.live_evaluation import LiveEvaluation, as_metrics


class Evaluation(Observer):
    """Logs the scores as a line of their own; a failure is a line too, and the run goes on."""

    evaluation: LiveEvaluation | None = None

    def before_training(self, trainer):
        if trainer.run.scoring is not None:
            batch_size = trainer.run.config.evaluation.batch_size
            self.evaluation = LiveEvaluation(trainer.run.scoring, batch_size, trainer.parallel_context)

    def after_step(self, trainer, step):
        words_before = trainer.progress(step.number - 1).words
        if self.evaluation is None or not trainer.run.config.evaluation.is_due(words_before, step.progress.words):
            return
        started = time.monotonic()
        try:
            found = as_metrics(self.evaluation.measure(trainer.unwrapped_model))
        except Exception as error:  # whatever it is, it is no reason to lose the run
            found = {keys.EVALUATION_FAILED: str(error)}
        trainer.log({**trainer.position(step.progress), **found, keys.EVALUATION_SECONDS: time.monotonic() - started})
