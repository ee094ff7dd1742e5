"""Everything about a run that is known before it starts: shared by `plan` and `train`."""

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from tokenformer.config.sections import RunConfig
from tokenformer.curriculum.budget import ladder_steps, number_of_words
from tokenformer.curriculum.context_length import ContextSchedule
from tokenformer.curriculum.plan import SamplePlan, build_plan
from tokenformer.data.corpus import PreparedCorpus
from tokenformer.data.tokenizer import Tokenizer, load_tokenizer
from tokenformer.errors import UserError
from tokenformer.evaluation.outcomes import Scoring
from tokenformer.evaluation.requests import TextEncoder
from tokenformer.evaluation.task_data import data_folder, load_task
from tokenformer.evaluation.task_files import find_tasks
from tokenformer.growth.operator import GrowthOperator, Transition
from tokenformer.growth.policy import ExpectedEvent, GrowthPolicy, PlannedRun, expected_events, growth_policy
from tokenformer.growth.triggers import LossHistory, Progress
from tokenformer.model.flops import model_size
from tokenformer.run_config import load_run_config
from tokenformer.trainer.bridge.model_config import model_config_from
from tokenformer.trainer.run.checks import check_growth, check_model, check_settings
from tokenformer.trainer.run.plan_progress import PlanProgress
from tokenformer.trainer.run.yoked_growth import with_yoked_steps


@dataclass(frozen=True)
class Stage:
    """The steps between two growth events, as planned.

    Args:
        step: training steps done when the stage begins; None when losses decide, which nobody knows before training.
        earliest_step: the same at the earliest.
        latest_step: the same at the latest; None when the stage may never begin.
        reason: what triggers it; "start" for the first.
        progress: where the run stands when the stage begins, at the earliest, if all before it did too.
        parameters: of the model in this stage.
        flops_per_token: training FLOPs, at the context length with which the stage begins.
        flops: training FLOPs of the whole run until the stage begins; None when its step is.
    """

    step: int | None
    earliest_step: int
    latest_step: int | None
    reason: str
    progress: Progress
    parameters: int
    flops_per_token: int
    flops: float | None


class PreparedRun:
    """A checked config with its corpus, its sample plan and its growth policy.

    Raises, when made:
        UserError: whatever is wrong with the config, the corpus or how they fit.
    """

    def __init__(self, config: RunConfig, name: str):
        self.config, self.name = (config := with_yoked_steps(config, name)), name
        self.growth: GrowthPolicy | None = growth_policy(config.growth, config.model_type, name)
        check_settings(config)
        self.config = config = self._with_vocabulary()
        self.base_model_config = model_config_from(config.model.model_config, config.model_type, name)
        multiple = config.model.make_vocab_size_divisible_by * config.parallelism.tp
        self.base_model_config.vocab_size = math.ceil(self.base_model_config.vocab_size / multiple) * multiple
        events = self.growth.events if self.growth else 0
        self.model_configs = [self.grown_model_config(stages) for stages in range(events + 1)]
        check_model(config, self.model_configs, self.corpus.vocabulary_size)
        if self.growth is not None:
            check_growth(config, self.growth)
        self.plan = self._sample_plan()
        self.config = config = self._with_steps()
        self._progress = PlanProgress.of(self.plan, config.steps, config.global_batch_size, config.curriculum.smoothing)
        self.context = self._context_schedule()
        self.rungs: dict[int, int] = ladder_steps(self._progress.words) if config.checkpoints.babylm_ladder else {}
        """Steps after which rungs of the BabyLM ladder are reached, and the words of the rung."""
        self._sizes = [model_size(model_config) for model_config in self.model_configs]

    @cached_property
    def corpus(self) -> PreparedCorpus:
        """The corpus that the run reads."""
        return PreparedCorpus.open(self.config.corpus_folder)

    @cached_property
    def tokenizer(self) -> Tokenizer:
        """The tokenizer of the corpus."""
        return load_tokenizer(self.corpus.tokenizer_folder)

    @property
    def encoder(self) -> TextEncoder:
        """The way in which texts become tokens of the corpus."""
        tokenizer = self.tokenizer
        return TextEncoder(tokenizer.encode_batch, tokenizer.encode_batch, tokenizer.end_of_document_id)

    @cached_property
    def scoring(self) -> Scoring | None:
        """The tasks that are scored while the run trains, read and encoded; None where there are none.

        Raises:
            UserError: a task's data is not there, or a text is longer than the model reads.
        """
        if self.config.evaluation is None or not self.config.evaluation.tasks:
            return None
        settings = self.config.evaluation
        folder = data_folder(settings.data)
        tasks = [load_task(task, folder, settings.fast) for task in find_tasks(settings.tasks)]
        return Scoring(tasks, self.encoder, self.base_model_config.max_position_embeddings)

    @classmethod
    def from_file(cls, path: Path, assignments=()) -> "PreparedRun":
        return cls(load_run_config(path, assignments), str(path))

    def _sample_plan(self) -> SamplePlan:
        table, curriculum = self.corpus.train, self.config.curriculum
        parameters = dict(curriculum.ordering)
        ordering = parameters.pop("name", None)
        words = curriculum.budget.words
        try:
            return build_plan(
                document_tokens=table.tokens,
                document_words=table.words,
                document_complexity=table.complexity,
                document_source=table.source,
                source_weights=self.corpus.weights,
                source_names=self.corpus.sources,
                ordering=ordering,
                parameters=parameters,
                selections=curriculum.selections,
                mixture=curriculum.mixture,
                keep_neighbours=curriculum.keep_neighbours,
                seed=self.config.data_stages[0].data.seed,
                total_tokens=self.config.steps * self.config.tokens_per_step if words is None else None,
                total_words=None if words is None else number_of_words(words, "budget: words"),
                tokens_per_step=self.config.tokens_per_step,
                maximum_epochs=curriculum.budget.max_epochs,
                sequence_length=self.config.tokens.sequence_length,
            )
        except UserError as error:
            raise UserError(f"{self.name}: curriculum: {error}") from None

    def _with_vocabulary(self) -> RunConfig:
        """The config with the size of the vocabulary, which is the corpus' own where the config leaves it out."""
        model = self.config.model
        if model.model_config.get("vocab_size") is not None:
            return self.config
        model_config = model.model_config | {"vocab_size": self.corpus.vocabulary_size}
        return dataclasses.replace(self.config, model=dataclasses.replace(model, model_config=model_config))

    def _with_steps(self) -> RunConfig:
        """The config with its number of steps, which follows from a budget in words.

        Raises UserError for steps that are given and are others.
        """
        steps, given = self.plan.samples // self.config.global_batch_size, self.config.tokens.train_steps
        if given is not None and given != steps:
            raise UserError(
                f"{self.name}: tokens.train_steps is {given}, and curriculum.budget.words makes {steps} steps; set "
                "tokens.train_steps=null, or curriculum.budget.words=null"
            )
        tokens = dataclasses.replace(self.config.tokens, train_steps=steps)
        return dataclasses.replace(self.config, tokens=tokens)

    def _context_schedule(self) -> ContextSchedule:
        config, phases = self.config, self.config.curriculum.context_length
        pairs = None if phases is None else [(phase.length, phase.until) for phase in phases]
        try:
            return ContextSchedule.of(pairs, config.tokens.sequence_length, config.steps)
        except UserError as error:
            raise UserError(f"{self.name}: curriculum: {error}") from None

    def grown_model_config(self, stages: int) -> Any:
        """The model's config after so many growth events."""
        model_config = self.base_model_config
        for stage in range(1, stages + 1):
            model_config = Transition.by(self.operator_of(stage), model_config).after
        return dataclasses.replace(model_config)

    def operator_of(self, stage: int) -> GrowthOperator:
        """The operator of a growth event; events are counted from 1."""
        if self.growth is None:
            raise ValueError(f"{self.name} has no growth")
        return self.growth.operator_of(stage)

    def transition(self, stage: int) -> Transition:
        """The growth event of a number, from 1."""
        return Transition(self.operator_of(stage), *self.model_configs[stage - 1 : stage + 1])

    def progress(self, step: int, event_steps: Sequence[int]) -> Progress:
        """Where the run stands after so many steps, given those after which it grew: a pure function of the plan."""
        return self._progress.after(step, self.training_flops(step, event_steps))

    def training_flops(self, step: int, event_steps: Sequence[int]) -> float:
        """Cost of the first `step` steps of a run that grew after the steps `event_steps`."""
        spans = zip([0, *event_steps], [*event_steps, step], strict=True)
        return sum((self.stage_flops(number, start, end) for number, (start, end) in enumerate(spans)), 0.0)

    def stage_flops(self, number: int, start: int, end: int) -> float:
        """Training FLOPs of the steps from `start` to before `end` by the model after `number` growth events."""
        flops = 0.0
        for length, steps in self.context.spans(start, end):
            flops += steps * self.config.tokens_per_step * self._sizes[number].training_flops_per_token(length)
        return flops

    def saves_checkpoint(self, step: int) -> bool:
        """Tells whether a checkpoint is due after this step: at the interval, at a rung of the ladder, at the end."""
        is_due = step % self.config.checkpoints.checkpoint_interval == 0 or step in self.rungs
        return is_due or step == self.config.steps

    def measures_validation(self, step: int) -> bool:
        """Tells whether held-out loss is due after this step: before the first, after the last, and at the interval."""
        interval = self.config.tokens.val_check_interval
        return step in (0, self.config.steps) or (interval > 0 and step % interval == 0)

    def loss_history(self) -> LossHistory:
        """The empty history of the losses that the trigger reads."""
        return LossHistory.of(self.growth.trigger.needs if self.growth else ())

    def stages(self) -> list[Stage]:
        """The stages of the run: for triggers that the plan determines, as they will fall."""
        events = []
        if self.growth is not None:
            planned = PlannedRun(self.config.steps, self.progress, self.measures_validation)
            events = expected_events(self.growth, planned)
        start = ExpectedEvent(0, 0, "start")
        return [self._stage(number, [start, *events]) for number in range(len(events) + 1)]

    def _stage(self, number: int, beginnings: list[ExpectedEvent]) -> Stage:
        begins = beginnings[number]
        progress = self.progress(begins.earliest, [event.earliest for event in beginnings[1 : number + 1]])
        return Stage(
            step=None if begins.reason is None else begins.earliest,
            earliest_step=begins.earliest,
            latest_step=begins.latest,
            reason=begins.reason or "depends on losses",
            progress=progress,
            parameters=self._sizes[number].parameters,
            flops_per_token=self._sizes[number].training_flops_per_token(self.context.length_at(begins.earliest)),
            flops=None if begins.reason is None else progress.flops,
        )
