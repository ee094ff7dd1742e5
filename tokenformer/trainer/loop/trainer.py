"""Nanotron's `DistributedTrainer`, with a sample plan, observers around its steps, and exact resumption."""

import json
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import torch
from nanotron import distributed as dist
from nanotron.trainer import DistributedTrainer

from tokenformer.checksums import write_checksums
from tokenformer.devices import default_device, process_rank
from tokenformer.evaluation.held_out import held_out_levels
from tokenformer.files import write_atomically
from tokenformer.freed_memory import keep_freed_memory
from tokenformer.growth.operator import learning_rate_factor
from tokenformer.growth.triggers import Progress
from tokenformer.model.flops import model_size
from tokenformer.model.parametrization import follows_size, scale_of
from tokenformer.observers import FinishedStep, Observer
from tokenformer.run_folder import keys
from tokenformer.run_folder.names import CONFIG, READING, RUN_CONFIG, STAGES, TOKENIZER
from tokenformer.trainer.bridge.nanotron_config import as_nanotron_yaml
from tokenformer.trainer.bridge.parameter_groups import grouped_parameters
from tokenformer.trainer.checkpoint import records as checkpoint
from tokenformer.trainer.checkpoint.records import CurriculumRecord
from tokenformer.trainer.checkpoint.restore import restore
from tokenformer.trainer.checkpoint.stored import StoredCheckpoint
from tokenformer.trainer.growing.live import follow_schedule
from tokenformer.trainer.growing.live_state import stages_by_name, unwrapped
from tokenformer.trainer.loop.batches import training_batches
from tokenformer.trainer.loop.clock import TrainingClock
from tokenformer.trainer.loop.observers.divergence import Diverged, refuse_infinite, skipped_if_infinite
from tokenformer.trainer.loop.observers.stopping import TrainingStopped
from tokenformer.trainer.loop.restart import may_restart, restart
from tokenformer.trainer.loop.sample_dataset import SampleDataset
from tokenformer.trainer.loop.standard_observers import standard_observers
from tokenformer.trainer.loop.unwritten import whole_or_cleared
from tokenformer.trainer.loop.validation import HeldOutLoss
from tokenformer.trainer.run.planned_reading import planned_reading
from tokenformer.trainer.run.prepared_run import PreparedRun
from tokenformer.trainer.run.start import StartingPoint


class TokenformerTrainer(DistributedTrainer):
    """Trains a prepared run from a starting point to its last step.

    Nanotron's loop does the steps. Everything around them is the matter of an observer.

    Args:
        run: the run.
        start: where it starts.
        observers: called in this order; None: the standard ones.
    """

    def __init__(self, run: PreparedRun, start: StartingPoint, observers: Sequence[Observer] | None = None):
        self.run, self.start = run, start
        self.observers = standard_observers(run.config) if observers is None else list(observers)
        self.clock = TrainingClock()
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
        return grouped_parameters(self.run.config.optimizer, self.size_factors)

    def size_factors(self) -> dict[str, float]:
        """Factors of the learning rate of every parameter of the whole model: by its parametrization, or else by the
        growth until now."""
        names = stages_by_name(unwrapped(self.model), self.parallel_context.pp_pg)
        if follows_size(self.model_config):
            return {name: scale_of(name, self.model_config).learning_rate for name in names}
        if self.run.growth is None or not self.run.growth.learning_rate_follows_width:
            return {}
        return {name: learning_rate_factor(name, self.transitions) for name in names}

    @property
    def is_writer(self) -> bool:
        """Tells whether this process writes the run's files and shows its progress: the first that knows the loss."""
        return dist.get_rank(self.parallel_context.world_pg) == self.logger_ranks[0]

    @property
    def event_steps(self) -> list[int]:
        """Steps done when the model grew, for each growth event until now."""
        return [event.step for event in self.growth_record.events]

    def progress(self, step: int) -> Progress:
        """Where the run stands after a step that is done."""
        return self.run.progress(step, self.event_steps)

    def position(self, progress: Progress) -> dict[str, float]:
        """Where the run stands, as metrics: steps, text, size and cost."""
        return {
            keys.STEP: progress.step,
            keys.TOKENS: progress.tokens,
            keys.WORDS: progress.words,
            keys.COMPLEXITY: progress.complexity,
            keys.PARAMETERS: self.size.parameters,
            keys.FLOPS: progress.flops,
            keys.SECONDS: self.clock.seconds,
        }

    def log(self, line: dict) -> None:
        """Hands a line of metrics to every observer, in the process that writes the run's files."""
        if self.is_writer:
            for observer in self.observers:
                observer.log(self, line)

    def init_model(self):
        """Nanotron's, but that the vocabulary is padded already, `max_position_embeddings` stays as configured, and
        stored weights are read by `_restore`, once there is an optimizer."""
        model = self._init_model_instance()
        self.init_checkpoint_path = None
        return self._load_model_checkpoint(model) if self.start.stored is None else model

    def _restore(self, stored: StoredCheckpoint) -> None:
        """Weights, optimizer and schedule of the checkpoint that the run starts from or goes on after."""
        state_of = stored.__getitem__ if self.start.with_moments else stored.without_moments
        restore(self.unwrapped_model, self.optimizer, self.grad_accumulator, state_of)
        if self.start.checkpoint is not None:
            self.lr_scheduler.load_state_dict(stored.schedule())
            self.start_iteration_step = self.iteration_step = self.start.step
            self.consumed_train_samples = stored.samples
            self.init_checkpoint_path = self.start.checkpoint  # a resumed run saves no initial state

    def post_init(self):
        if self.start.stored is not None:
            self._restore(self.start.stored)
        follow_schedule(self)
        validation = self.run.config.validation
        self.held_out = HeldOutLoss(
            held_out_levels(self.run.corpus, validation.levels),
            self.sequence_length,
            validation.batch_size,
            self.parallel_context,
        )
        self.size = model_size(self.model_config)
        self._take_over_from_nanotron()

    def _take_over_from_nanotron(self) -> None:
        """Nanotron's loop calls `train_step_logs` after every step, and saves no checkpoint by itself."""
        self.config.logging.iteration_step_info_interval = 1
        self.config.checkpoints.checkpoint_interval = self.config.tokens.train_steps + 1

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
            for observer in self.observers:
                observer.close(self)

    def pre_training(self, *args, **kwargs):
        """Nanotron's own would log in to wandb."""
        for observer in self.observers:
            observer.before_training(self)

    def training_step(self, dataloader):
        for observer in self.observers:
            observer.before_step(self)
        learning_rate, before = self.lr_scheduler.get_last_lr()[0], self.clock.seconds
        with self.clock.running(), skipped_if_infinite(self):
            outputs, loss = super().training_step(dataloader)
        step = self.iteration_step
        self.finished = FinishedStep(step, self.progress(step), loss, learning_rate, self.clock.seconds - before)
        return outputs, loss

    def train_step_logs(self, *args, **kwargs):
        """Nanotron calls this after a step, when it has counted the step's samples."""
        for observer in self.observers:
            observer.after_step(self, self.finished)

    def save_checkpoint(self) -> Path:
        """Nanotron's checkpoint and our records, under a temporary name until they are whole."""
        folder = self.run.config.checkpoints_folder
        self._refuse_infinite_weights()
        if self.is_writer:
            checkpoint.clear_partial(folder)
        dist.barrier(self.parallel_context.world_pg)
        with self._intervals_of_the_run():
            self.config.checkpoints.checkpoints_path = checkpoint.partial_folder(folder)
            try:
                with whole_or_cleared(folder):
                    written = super().save_checkpoint()
            finally:
                self.config.checkpoints.checkpoints_path = folder
            # Nanotron's ranks write their random states after its last barrier.
            dist.barrier(self.parallel_context.world_pg)
            if self.is_writer:
                with whole_or_cleared(folder):
                    self._write_records(written)
                    self.config.save_as_yaml(written / CONFIG)
                    write_checksums(written)
                keep_last = self.run.config.checkpoints.keep_last
                checkpoint.publish(folder, self.iteration_step, keep_last, kept=self.run.rungs)
        dist.barrier(self.parallel_context.world_pg)
        return folder / str(self.iteration_step)

    def _refuse_infinite_weights(self) -> None:
        """No checkpoint holds a number that is not finite; raises UserError in every process when one has any."""
        is_finite = all(bool(param.isfinite().all()) for param in self.unwrapped_model.parameters())
        rate = self.lr_scheduler.get_last_lr()[0]
        refuse_infinite(self, "" if is_finite else "weight", self.iteration_step, rate)

    @contextmanager
    def _intervals_of_the_run(self) -> Iterator[None]:
        """Nanotron's config as the user gave it, for a checkpoint to record."""
        self.config.logging.iteration_step_info_interval = self.run.config.logging.iteration_step_info_interval
        self.config.checkpoints.checkpoint_interval = self.run.config.checkpoints.checkpoint_interval
        try:
            yield
        finally:
            self._take_over_from_nanotron()

    def _write_records(self, folder: Path) -> None:
        progress = self.progress(self.iteration_step)
        record = CurriculumRecord(
            plan=self.run.plan.fingerprint,
            samples=self.consumed_train_samples,
            complexity=progress.complexity,
            words=progress.words,
            rung=self.run.rungs.get(self.iteration_step),
            corpus=self.run.corpus.fingerprint,
        )
        checkpoint.write_records(folder, self.growth_record, record)
        write_atomically(folder / RUN_CONFIG, self.start.resolved_config)
        shutil.copytree(self.run.corpus.tokenizer_folder, folder / TOKENIZER)
        for observer in self.observers:
            observer.write_state(self, folder)

    def post_training(self):
        """Nothing: the last step has its checkpoint already, and Nanotron's own would upload the run."""


def write_run_files(run: PreparedRun, resolved: str) -> None:
    """The resolved config, the planned stages and what the plan reads, into the run's folder."""
    folder = run.config.run_folder
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(folder / CONFIG, resolved)
    write_atomically(folder / STAGES, json.dumps([asdict(stage) for stage in run.stages()], indent=2) + "\n")
    write_atomically(folder / READING, json.dumps(asdict(planned_reading(run)), indent=2) + "\n")


def train(run: PreparedRun, start: StartingPoint) -> None:
    """Trains in this process, which is one of those that `torchrun` started or the only one."""
    from tokenformer.trainer.bridge.cpu_host import ensure_process_group

    if default_device() == "cpu":
        keep_freed_memory()
    ensure_process_group()
    if process_rank() == 0:
        write_run_files(run, start.resolved_config)
        if start.checkpoint is not None:
            checkpoint.make_latest(start.checkpoint)  # the user may have chosen another than the newest
    try:
        TokenformerTrainer(run, start).fit()
    except TrainingStopped as stopped:
        if process_rank() == 0:
            print(stopped, file=sys.stderr, flush=True)
        torch.distributed.destroy_process_group()
        raise
    except Diverged as diverged:
        if not may_restart(run.config.optimizer):
            raise
        torch.distributed.destroy_process_group()
        restart(str(diverged))
    torch.distributed.destroy_process_group()
