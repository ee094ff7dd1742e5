"""Lets the model grow when its trigger says so."""

from dataclasses import asdict

from tokenformer.errors import UserError
from tokenformer.growth.operator import GrowthContext
from tokenformer.growth.triggers import Progress
from tokenformer.model.flops import model_size
from tokenformer.observers import Observer
from tokenformer.run_folder import keys
from tokenformer.trainer.checkpoint.records import GrowthEvent, write_losses
from tokenformer.trainer.growing.live import grow
from tokenformer.trainer.growing.new_elements import slow_down_new_elements
from tokenformer.trainer.loop.observers.loss_recorder import LossRecorder


class Growing(Observer):
    """Applies a growth event, and keeps the losses that the trigger reads.

    An event that is due after step k is applied when step k + 1 begins. So the checkpoint of step k holds the model as
    it was, and a run that resumes from it grows again, in the same way.
    """

    def before_training(self, trainer):
        self.losses = LossRecorder(trainer.start.losses, trainer.logger_ranks[0], trainer.parallel_context)
        self._slow_down_new_elements(trainer)

    def before_step(self, trainer):
        policy, progress = trainer.run.growth, trainer.progress(trainer.iteration_step - 1)
        reason = policy.reason(progress, trainer.event_steps, self.losses.history) if policy else None
        if reason is not None:
            self._measure_end_of_stage(trainer, progress)
            self._grow(trainer, progress, reason)

    def after_step(self, trainer, step):
        self.losses.add("training", step.progress, trainer.event_steps, step.loss)
        if keys.HELD_OUT_LOSS in step.measured:
            self.losses.add("validation", step.progress, trainer.event_steps, step.measured[keys.HELD_OUT_LOSS])

    def write_state(self, trainer, folder):
        write_losses(folder, self.losses.history)

    def _measure_end_of_stage(self, trainer, progress: Progress) -> None:
        """Held-out loss of the model before it grows, unless the step's own line has it."""
        if not trainer.run.measures_validation(progress.step):
            losses = trainer.held_out.measure(trainer.unwrapped_model)
            stage = len(trainer.event_steps) + 1
            trainer.log({**trainer.position(progress), keys.STAGE_ENDS: stage, **losses})

    def _grow(self, trainer, progress: Progress, reason: str) -> None:
        """One growth event.

        Raises:
            UserError: the operator keeps the function, and the held-batch loss moved by more than the tolerance.
        """
        stage, before = len(trainer.event_steps) + 1, trainer.size
        transition = trainer.run.transition(stage)
        operator = transition.operator
        loss_before = trainer.held_out.held_batch_loss(trainer.unwrapped_model)
        trainer.transitions.append(transition)
        with trainer.clock.running(), trainer.parameter_groups():
            context = GrowthContext(trainer.config.general.seed, stage)
            grow(trainer, transition, context, trainer.run.growth.new_moments)
        trainer.size = model_size(transition.after)
        loss_after = trainer.held_out.held_batch_loss(trainer.unwrapped_model)
        event = GrowthEvent(
            stage=stage,
            step=progress.step,
            operator={"name": operator.name, **asdict(operator)},
            reason=reason,
            parameters_before=before.parameters,
            parameters_after=trainer.size.parameters,
            loss_before=loss_before,
            loss_after=loss_after,
        )
        trainer.growth_record.events.append(event)
        trainer.growth_record.model_config = asdict(transition.after)
        self._slow_down_new_elements(trainer)
        self._report_event(trainer, event)
        tolerance = trainer.run.growth.tolerance
        if operator.is_exact(transition.before) and not abs(loss_after - loss_before) <= tolerance:
            raise UserError(
                f"growth event {stage} at step {progress.step} moved the held-batch loss from {loss_before} to "
                f"{loss_after}, more than growth.tolerance {tolerance}; the last checkpoint is as it was. "
                "Raise growth.tolerance if rounding explains the change, or take another operator"
            )

    def _slow_down_new_elements(self, trainer) -> None:
        if trainer.transitions:
            slow_down_new_elements(trainer, trainer.run.growth, trainer.transitions[-1], trainer.event_steps[-1])

    def _report_event(self, trainer, event: GrowthEvent) -> None:
        trainer.log(
            {
                keys.STEP: event.step,
                keys.EVENT: event.stage,
                keys.OPERATOR: event.operator["name"],
                keys.REASON: event.reason,
                keys.LOSS_BEFORE: event.loss_before,
                keys.LOSS_AFTER: event.loss_after,
                keys.PARAMETERS_BEFORE: event.parameters_before,
                keys.PARAMETERS: event.parameters_after,
            }
        )
