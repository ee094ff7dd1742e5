"""Makes a line of metrics of a step."""

from tokenformer.trainer.loop.observers.observer import FinishedStep, Line, Observer


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
        "lr": step.learning_rate,
        "tokens_per_sec": tokens_per_second,
        "tokens_per_sec_per_gpu": tokens_per_second / trainer.parallel_context.world_pg.size(),
        "global_batch_size": trainer.global_batch_size,
        "time_per_iteration_ms": step.seconds * 1000,
        "model_tflops_per_gpu": flops_per_second,
        **step.measured,
    }
    if config.curriculum.context_length is not None:
        line["curriculum/context_length"] = length
    line["lm_loss"] = step.loss.item()
    if config.optimizer.clip_grad is not None:
        line["grad_norm"] = trainer.grad_norm_unclipped.item()
    return line
