"""Nanotron's `DistributedTrainer`, with a sample plan, growth, held-out loss and checkpoints that resume exactly."""

import json
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

import torch
from nanotron import distributed as dist
from nanotron.trainer import DistributedTrainer

from tokenformer.devices import default_device, process_rank
from tokenformer.errors import UserError
from tokenformer.evaluation.held_out import held_out_levels
from tokenformer.files import write_atomically
from tokenformer.freed_memory import keep_freed_memory
from tokenformer.growth.operator import GrowthContext, learning_rate_factor
from tokenformer.growth.triggers import Progress
from tokenformer.model.flops import model_size
from tokenformer.run_folder.metrics import MetricsFile
from tokenformer.trainer.bridge.nanotron_config import as_nanotron_yaml
from tokenformer.trainer.bridge.parameter_groups import grouped_parameters
from tokenformer.trainer.checkpoint import records as checkpoint
from tokenformer.trainer.checkpoint.records import CurriculumRecord, GrowthEvent
from tokenformer.trainer.checkpoint.restore import restore
from tokenformer.trainer.growing.live import follow_schedule, grow
from tokenformer.trainer.growing.live_state import stages_by_name, unwrapped
from tokenformer.trainer.growing.new_elements import slow_down_new_elements
from tokenformer.trainer.loop.batches import training_batches
from tokenformer.trainer.loop.live_evaluation import LiveEvaluation, as_metrics
from tokenformer.trainer.loop.loss_recorder import LossRecorder
from tokenformer.trainer.loop.progress_bar import ProgressBar
from tokenformer.trainer.loop.sample_dataset import SampleDataset
from tokenformer.trainer.loop.validation import HeldOutLoss
from tokenformer.trainer.run.planned_reading import PlannedReading
from tokenformer.trainer.run.prepared_run import PreparedRun
from tokenformer.trainer.run.start import StartingPoint


class TokenformerTrainer(DistributedTrainer):
    """Trains a prepared run from a starting point to its last step.

    A growth event that is due after step k is applied when step k + 1 begins. So the checkpoint of step k holds the
    model as it was, and a run that resumes from it grows again, in the same way.
    """

    def __init__(self, run: PreparedRun, start: StartingPoint):
        self.run, self.start = run, start
        self.growth_record = start.growth
        self.transitions = [run.transition(stage) for stage in range(1, len(start.growth.events) + 1)]
        settings = as_nanotron_yaml(run.config, start.model_config)
        # Nanotron wants the path of a file; each process writes one of its own.
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "nanotron.yaml"
            path.write_text(settings, encoding="utf-8")
            with self.parameter_groups():
                super().__init__(str(path))

    def parameter_groups(self):
        """The context in which Nanotron's optimizers are built."""
        return grouped_parameters(self.run.config.optimizer, self.growth_factors)

    def growth_factors(self) -> dict[str, float]:
        """Factors by which growth until now multiplied learning rates, for every parameter of the whole model."""
        if not self.transitions or not self.run.growth.learning_rate_follows_width:
            return {}
        names = stages_by_name(unwrapped(self.model), self.parallel_context.pp_pg)
        return {name: learning_rate_factor(name, self.transitions) for name in names}

    @property
    def is_writer(self) -> bool:
        """Tells whether this process writes the run's files and shows its progress: the first that knows the loss."""
        return dist.get_rank(self.parallel_context.world_pg) == self.logger_ranks[0]

    @property
    def event_steps(self) -> list[int]:
        return [event.step for event in self.growth_record.events]

    def init_model(self):
        """Nanotron's, but that the vocabulary is padded already, `max_position_embeddings` stays as configured, and
        stored weights are read by `_restore`, once there is an optimizer."""
        model = self._init_model_instance()
        self.init_checkpoint_path = None
        return self._load_model_checkpoint(model) if self.start.stored is None else model

    def _restore(self):
        """Weights, optimizer and schedule of the checkpoint that the run starts from or goes on after."""
        stored = self.start.stored
        state_of = stored.__getitem__ if self.start.with_moments else stored.without_moments
        restore(self.unwrapped_model, self.optimizer, self.grad_accumulator, state_of)
        if self.start.checkpoint is not None:
            self.lr_scheduler.load_state_dict(stored.schedule())
            self.start_iteration_step = self.iteration_step = self.start.step
            self.consumed_train_samples = stored.samples
            self.init_checkpoint_path = self.start.checkpoint  # a resumed run saves no initial state

    def post_init(self):
        if self.start.stored is not None:
            self._restore()
        follow_schedule(self)
        self._slow_down_new_elements()
        validation = self.run.config.validation
        self.held_out = HeldOutLoss(
            held_out_levels(self.run.corpus, validation.levels),
            self.sequence_length,
            validation.batch_size,
            self.parallel_context,
        )
        self.evaluation = None
        if self.run.scoring is not None:
            batch_size = self.run.config.evaluation.batch_size
            self.evaluation = LiveEvaluation(self.run.scoring, batch_size, self.parallel_context)
        self.losses = LossRecorder(self.start.losses, self.logger_ranks[0], self.parallel_context)
        self.size = model_size(self.model_config)
        self.progress_bar = ProgressBar(self.config.tokens.train_steps, self.start_iteration_step, self.is_writer)
        self.metrics = None
        self.elapsed_seconds = 0.0
        if self.is_writer:
            step = self.start_iteration_step if self.start.checkpoint else -1
            self.metrics = MetricsFile(self.run.config.run_folder, step)
            self.elapsed_seconds = self.metrics.elapsed_seconds

    def fit(self) -> None:
        """Trains to the last step of the config."""
        dataset = SampleDataset(self.run.corpus.train.shards, self.run.plan.order, self.sequence_length)
        model, context = self.unwrapped_model, self.parallel_context
        batches = training_batches(
            self.run.config,
            dataset,
            context,
            model.input_pp_rank,
            model.output_pp_rank,
            self.start_iteration_step,
            self.run.context.length_at,
        )
        try:
            self.train(batches)
        finally:
            self.progress_bar.close()
            if self.metrics is not None:
                self.metrics.close()

    def pre_training(self, *args, **kwargs):
        """Measures the model before its first step. Nanotron's own would log in to wandb."""
        if self.start.checkpoint is None:
            losses = self.held_out.measure(self.unwrapped_model)
            self._write({**self._position(self._progress(0)), **losses})

    def training_step(self, dataloader):
        started = time.monotonic()
        self._grow_if_due(self._progress(self.iteration_step - 1))
        self.learning_rate = self.lr_scheduler.get_last_lr()[0]
        outputs, loss_avg = super().training_step(dataloader)
        self.losses.add("training", self._progress(self.iteration_step), self.event_steps, loss_avg)
        self.elapsed_seconds += time.monotonic() - started
        is_logged = (self.iteration_step - 1) % self.config.logging.iteration_step_info_interval == 0
        if self.run.measures_validation(self.iteration_step) and not is_logged:
            self.train_step_logs(outputs, loss_avg)
        self._let_nanotron_save(self.run.saves_checkpoint(self.iteration_step))
        self._evaluate_if_due()
        return outputs, loss_avg

    def _let_nanotron_save(self, is_due: bool) -> None:
        """Nanotron's loop saves after every step that its interval divides: now by 1, or by a number that is larger."""
        self.config.checkpoints.checkpoint_interval = 1 if is_due else self.iteration_step + 1

    def _progress(self, step: int) -> Progress:
        return self.run.progress(step, self.event_steps)

    def _position(self, progress: Progress) -> dict[str, float]:
        """Where the run stands: steps, text, size and cost."""
        return {
            "iteration_step": progress.step,
            "consumed_tokens": progress.tokens,
            "consumed_words": progress.words,
            "curriculum/complexity": progress.complexity,
            "growth/parameters": self.size.parameters,
            "training_flops": progress.flops,
            "elapsed_seconds": self.elapsed_seconds,
        }

    def _write(self, line: dict) -> None:
        if self.metrics is not None:
            self.metrics.write(line)

    def _evaluate_if_due(self) -> None:
        """Scores the tasks of the `evaluation` section; a failure is a line of the metrics, and the run goes on."""
        before, now = self._progress(self.iteration_step - 1), self._progress(self.iteration_step)
        if self.evaluation is None or not self.run.config.evaluation.is_due(before.words, now.words):
            return
        started = time.time()
        try:
            found = as_metrics(self.evaluation.measure(self.unwrapped_model))
        except Exception as error:  # whatever it is, it is no reason to lose the run
            found = {"eval/failed": str(error)}
            self.progress_bar.say(f"step {now.step}: the evaluation failed: {error}")
        seconds = time.time() - started
        self.iteration_start_time += seconds  # it is no part of the step, whose speed is logged later
        self._write({**self._position(now), **found, "eval/seconds": seconds})

    def _grow_if_due(self, progress: Progress) -> None:
        policy = self.run.growth
        reason = policy.reason(progress, self.event_steps, self.losses.history) if policy else None
        if reason is None:
            return
        self._measure_end_of_stage(progress)
        stage, before = len(self.event_steps) + 1, self.size
        transition = self.run.transition(stage)
        operator = transition.operator
        loss_before = self.held_out.held_batch_loss(self.unwrapped_model)
        self.transitions.append(transition)
        with self.parameter_groups():
            grow(self, transition, GrowthContext(self.config.general.seed, stage), policy.new_moments)
        self.size = model_size(transition.after)
        loss_after = self.held_out.held_batch_loss(self.unwrapped_model)
        event = GrowthEvent(
            stage=stage,
            step=progress.step,
            operator={"name": operator.name, **asdict(operator)},
            reason=reason,
            parameters_before=before.parameters,
            parameters_after=self.size.parameters,
            loss_before=loss_before,
            loss_after=loss_after,
        )
        self.growth_record.events.append(event)
        self.growth_record.model_config = asdict(transition.after)
        self._slow_down_new_elements()
        self._report_event(event)
        if operator.is_exact(transition.before) and not abs(loss_after - loss_before) <= policy.tolerance:
            raise UserError(
                f"growth event {stage} at step {progress.step} moved the held-batch loss from {loss_before} to "
                f"{loss_after}, more than growth.tolerance {policy.tolerance}; the last checkpoint is as it was. "
                "Raise growth.tolerance if rounding explains the change, or take another operator"
            )

    def _slow_down_new_elements(self) -> None:
        if self.transitions:
            slow_down_new_elements(self, self.run.growth, self.transitions[-1], self.event_steps[-1])

    def _measure_end_of_stage(self, progress: Progress) -> None:
        """Held-out loss of the model before it grows, unless the step's own line has it."""
        if not self.run.measures_validation(progress.step):
            losses = self.held_out.measure(self.unwrapped_model)
            self._write({**self._position(progress), "growth/stage_ends": len(self.event_steps) + 1, **losses})

    def _report_event(self, event: GrowthEvent) -> None:
        self._write(
            {
                "iteration_step": event.step,
                "growth/event": event.stage,
                "growth/operator": event.operator["name"],
                "growth/reason": event.reason,
                "growth/loss_before": event.loss_before,
                "growth/loss_after": event.loss_after,
                "growth/parameters_before": event.parameters_before,
                "growth/parameters": event.parameters_after,
            }
        )
        self.progress_bar.say(
            f"step {event.step}: {event.reason}; {event.parameters_before:,} -> {event.parameters_after:,} parameters, "
            f"held-batch loss {event.loss_before:.6f} -> {event.loss_after:.6f}"
        )

    def train_step_logs(self, outputs, loss_avg):
        """One line of metrics; Nanotron's names where it has them."""
        step = self.iteration_step
        progress = self._progress(step)
        losses = {}
        if self.run.measures_validation(step):
            losses = self.held_out.measure(self.unwrapped_model)
            self.losses.add("validation", progress, self.event_steps, losses["val/loss"])
        if not self.is_writer:
            return
        seconds = time.time() - self.iteration_start_time
        tokens_per_second = self.run.config.tokens_per_step / seconds
        processes = self.parallel_context.world_pg.size()
        length = self.run.context.length_at(step - 1)
        line = {
            **self._position(progress),
            "lr": self.learning_rate,
            "tokens_per_sec": tokens_per_second,
            "tokens_per_sec_per_gpu": tokens_per_second / processes,
            "global_batch_size": self.global_batch_size,
            "time_per_iteration_ms": seconds * 1000,
            "model_tflops_per_gpu": self.unwrapped_model.get_flops_per_sec(
                seconds, length, self.run.config.tokens_per_step // length
            )[0],
            **losses,
        }
        if self.run.config.curriculum.context_length is not None:
            line["curriculum/context_length"] = length
        line["lm_loss"] = loss_avg.item()
        if self.config.optimizer.clip_grad is not None:
            line["grad_norm"] = self.grad_norm_unclipped.item()
        self._write(line)
        self.progress_bar.update(line)

    def save_checkpoint(self) -> Path:
        """Nanotron's checkpoint and our records, under a temporary name until they are whole."""
        folder = self.run.config.checkpoints_folder
        if self.is_writer:
            checkpoint.clear_partial(folder)
        dist.barrier(self.parallel_context.world_pg)
        self.config.checkpoints.checkpoints_path = checkpoint.partial_folder(folder)
        self.config.checkpoints.checkpoint_interval = self.run.config.checkpoints.checkpoint_interval
        try:
            written = super().save_checkpoint()
        finally:
            self.config.checkpoints.checkpoints_path = folder
        # Nanotron's ranks write their random states after its last barrier.
        dist.barrier(self.parallel_context.world_pg)
        if self.is_writer:
            progress = self._progress(self.iteration_step)
            record = CurriculumRecord(
                plan=self.run.plan.fingerprint,
                samples=self.consumed_train_samples,
                complexity=progress.complexity,
                words=progress.words,
                rung=self.run.rungs.get(self.iteration_step),
            )
            checkpoint.write_records(written, self.growth_record, record)
            checkpoint.write_losses(written, self.losses.history)
            self.config.save_as_yaml(written / "config.yaml")
            checkpoint.publish(folder, self.iteration_step)
        dist.barrier(self.parallel_context.world_pg)
        return folder / str(self.iteration_step)

    def post_training(self):
        """Nothing: the last step has its checkpoint already, and Nanotron's own would upload the run."""


def write_run_files(run: PreparedRun, resolved: str) -> None:
    """The resolved config, the planned stages and what the plan reads, into the run's folder."""
    folder = run.config.run_folder
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(folder / "config.yaml", resolved)
    write_atomically(folder / "stages.json", json.dumps([asdict(stage) for stage in run.stages()], indent=2) + "\n")
    write_atomically(folder / "reading.json", json.dumps(asdict(PlannedReading.of(run)), indent=2) + "\n")


def train(run: PreparedRun, start: StartingPoint) -> None:
    """Trains in this process, which is one of those that `torchrun` started or the only one."""
    from tokenformer.trainer.bridge.cpu_host import ensure_process_group

    if default_device() == "cpu":
        keep_freed_memory()
    ensure_process_group()
    if process_rank() == 0:
        write_run_files(run, start.resolved_config)
    TokenformerTrainer(run, start).fit()
    torch.distributed.destroy_process_group()
