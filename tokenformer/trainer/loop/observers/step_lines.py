"""Makes a line of metrics of a step."""

from tokenformer.observers import FinishedStep, Line, Observer
from tokenformer.run_folder import keys


class StepLines(Observer):
    """Logs every step that the config's interval names, and every step after which something was measured."""

    def after_step(self, trainer, step):
        interval = trainer.run.config.logging.iteration_step_info_interval
        if trainer.is_writer and ((step.number - 1) % interval == 0 or step.measured):
            trainer.log(line_of(trainer, step))


def line_of(trainer, step: FinishedStep) -> Line:
    """The metrics of a step, in a process that knows its loss; Nanotron's names where it has them."""
    config, length = trainer.run.config, trainer.run.context.length_at(step.number - 1)
    tokens_per_second = config.tokens_per_step / step.seconds
    flops_per_second, _ = trainer.unwrapped_model.get_flops_per_sec(
        step.seconds, length, config.tokens_per_step // length
    )
    line = {
        **trainer.position(step.progress),
        keys.LEARNING_RATE: step.learning_rate,
        keys.TOKENS_PER_SECOND: tokens_per_second,
        keys.TOKENS_PER_SECOND_PER_PROCESS: tokens_per_second / trainer.parallel_context.world_pg.size(),
        keys.SAMPLES_A_STEP: trainer.global_batch_size,
        keys.STEP_MILLISECONDS: step.seconds * 1000,
        keys.TERAFLOPS_PER_PROCESS: flops_per_second,
        **step.measured,
    }
    if config.curriculum.context_length is not None:
        line[keys.CONTEXT_LENGTH] = length
    if step.loss is not None:
        line[keys.LOSS] = step.loss.item()
    if config.optimizer.clip_grad is not None:
        line[keys.GRADIENT_NORM] = trainer.grad_norm_unclipped.item()
    return line
