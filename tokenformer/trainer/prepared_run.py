"""Everything about a run that is known before it starts: shared by `plan` and `train`."""

import dataclasses
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tokenformer.config.loading import load_config
from tokenformer.config.sections import RunConfig
from tokenformer.curriculum.plan import SamplePlan, build_plan
from tokenformer.data.corpus import PreparedCorpus
from tokenformer.errors import UserError
from tokenformer.growth.policy import GrowthPolicy, growth_policy
from tokenformer.growth.transition import Transition
from tokenformer.growth.triggers import Progress
from tokenformer.model.flops import model_size
from tokenformer.trainer.checks import check_model, check_settings
from tokenformer.trainer.model_config import model_config_from


@dataclass(frozen=True)
class Stage:
    """The steps between two growth events, as planned.

    Args:
        step: training steps done when the stage begins.
        reason: what triggers it; "start" for the first.
        progress: where the run stands then.
        parameters: of the model in this stage.
        flops_per_token: training FLOPs.
        flops: training FLOPs of the whole run until the stage begins.
    """

    step: int
    reason: str
    progress: Progress
    parameters: int
    flops_per_token: int
    flops: float


class PreparedRun:
    """A checked config with its corpus, its sample plan and its growth policy.

    Raises, when made:
        UserError: whatever is wrong with the config, the corpus or how they fit.
    """

    def __init__(self, config: RunConfig, name: str):
        self.config, self.name = config, name
        self.growth: GrowthPolicy | None = growth_policy(config.growth, config.model_type, name)
        check_settings(config)
        self.base_model_config = model_config_from(config.model.model_config, config.model_type, name)
        multiple = config.model.make_vocab_size_divisible_by * config.parallelism.tp
        self.base_model_config.vocab_size = math.ceil(self.base_model_config.vocab_size / multiple) * multiple
        self.corpus = PreparedCorpus.open(config.corpus_folder)
        events = self.growth.trigger.events if self.growth else 0
        self.model_configs = [self.grown_model_config(stages) for stages in range(events + 1)]
        check_model(config, self.model_configs, self.corpus.vocabulary_size)
        self.plan = self._sample_plan()
        self._complexity = self.plan.smoothed_complexity(config.global_batch_size, config.curriculum.smoothing)
        self._sorted_complexity = np.sort(self.plan.sample_complexity)
        self._words = self.plan.words_before(np.arange(config.tokens.train_steps + 1) * config.global_batch_size)

    @classmethod
    def from_file(cls, path: Path, assignments=()) -> "PreparedRun":
        return cls(load_config(path, assignments), str(path))

    def _sample_plan(self) -> SamplePlan:
        table, parameters = self.corpus.train, dict(self.config.curriculum.ordering)
        ordering = parameters.pop("name", None)
        try:
            return build_plan(
                document_tokens=table.tokens,
                document_words=table.words,
                document_complexity=table.complexity,
                document_source=table.source,
                source_weights=self.corpus.weights,
                ordering=ordering,
                parameters=parameters,
                seed=self.config.data_stages[0].data.seed,
                total_tokens=self.config.tokens.train_steps * self.config.tokens_per_step,
                sequence_length=self.config.tokens.sequence_length,
            )
        except UserError as error:
            raise UserError(f"{self.name}: curriculum: {error}") from None

    def grown_model_config(self, stages: int) -> Any:
        """The model's config after so many growth events."""
        model_config = self.base_model_config
        for stage in range(1, stages + 1):
            model_config = self.growth.operator_of(stage).grown_config(model_config)
        return dataclasses.replace(model_config)

    def transition(self, stage: int) -> Transition:
        """The growth event of a number, from 1."""
        return Transition(self.growth.operator_of(stage), *self.model_configs[stage - 1 : stage + 1])

    def progress(self, step: int) -> Progress:
        """Where the run stands after so many steps: a pure function of the plan."""
        samples = step * self.config.global_batch_size
        complexity = float(self._complexity[step - 1]) if step else float(self.plan.sample_complexity[0])
        simpler = np.searchsorted(self._sorted_complexity, complexity)
        return Progress(
            step=step,
            words=float(self._words[step]),
            tokens=samples * self.config.tokens.sequence_length,
            complexity=complexity,
            complexity_percentile=100 * float(simpler) / len(self._sorted_complexity),
        )

    def training_flops(self, step: int, event_steps: list[int]) -> float:
        """Cost of the first `step` steps of a run that grew after the steps `event_steps`."""
        flops = 0.0
        for number, (start, end) in enumerate(zip([0, *event_steps], [*event_steps, step], strict=True)):
            flops_per_token = model_size(self.model_configs[number]).training_flops_per_token(
                self.config.tokens.sequence_length
            )
            flops += (end - start) * self.config.tokens_per_step * flops_per_token
        return flops

    def stages(self) -> list[Stage]:
        """The stages of the run: for triggers that the plan determines, as they will fall."""
        stages = [self._stage(0, "start", [])]
        if self.growth is not None:
            for step in range(self.config.tokens.train_steps):
                steps = [stage.step for stage in stages[1:]]
                reason = self.growth.reason(self.progress(step), steps)
                if reason is not None:
                    stages.append(self._stage(step, reason, [*steps, step]))
        return stages

    def _stage(self, step: int, reason: str, event_steps: list[int]) -> Stage:
        size = model_size(self.model_configs[len(event_steps)])
        flops_per_token = size.training_flops_per_token(self.config.tokens.sequence_length)
        flops = self.training_flops(step, event_steps)
        return Stage(step, reason, self.progress(step), size.parameters, flops_per_token, flops)
