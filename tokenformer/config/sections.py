"""A run's YAML as a dataclass of sections.

A key's meaning, default, bounds and choices stand at its field alone: `scripts/configuration.py` writes the comments of
configs/tokenformer.yaml and the tables of docs/configuration.md from them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, List, Optional  # noqa: UP035 (Python 3.11's get_type_hints and dacite agree on these)

from tokenformer.config.added_sections import Curriculum, Evaluation, Growth, Validation
from tokenformer.config.keys import REQUIRED, key
from tokenformer.config.nanotron_sections import (
    Checkpoints,
    DataStage,
    General,
    Logging,
    Model,
    Optimizer,
    Parallelism,
    Tokenizer,
    Tokens,
)
from tokenformer.errors import UserError

# ruff: noqa: UP006, UP045


@dataclass(kw_only=True)
class RunConfig:
    general: General = key(General(), "the run and its folder")
    plugins: List[str] = key([], "Python modules from outside that register operators, orderings, observers and so on")
    parallelism: Parallelism = key(Parallelism(), "how the model is spread over processes")
    model: Model = key(REQUIRED, "the model")
    tokenizer: Tokenizer = key(Tokenizer(), "Nanotron's section")
    checkpoints: Checkpoints = key(Checkpoints(), "when the run is saved")
    logging: Logging = key(Logging(), "what is printed and written down")
    tokens: Tokens = key(REQUIRED, "the size of steps, and how many there are")
    optimizer: Optimizer = key(Optimizer(), "how weights are learned")
    data_stages: List[DataStage] = key(REQUIRED, "the corpus; one entry")
    curriculum: Curriculum = key(Curriculum(), "in which order text is read")
    growth: Optional[Growth] = key(None, "when and how the model grows; null: never")
    validation: Validation = key(Validation(), "how held-out loss is measured")
    evaluation: Optional[Evaluation] = key(None, "tasks that are scored on the live model while it trains; null: none")
    observers: List[Dict[str, Any]] = key(
        [], "more observers of the training, from plug-ins: each its name and its keys", registry="observer"
    )

    @property
    def run_folder(self) -> Path:
        return Path(self.general.runs_folder) / self.general.run

    @property
    def checkpoints_folder(self) -> Path:
        path = self.checkpoints.checkpoints_path
        return Path(path) if path is not None else self.run_folder / "checkpoints"

    @property
    def corpus_folder(self) -> Path:
        return Path(self.data_stages[0].data.dataset.dataset_folder)

    @property
    def global_batch_size(self) -> int:
        """Samples a step."""
        return self.tokens.micro_batch_size * self.tokens.batch_accumulation_per_replica * self.parallelism.dp

    @property
    def tokens_per_step(self) -> int:
        return self.global_batch_size * self.tokens.sequence_length

    @property
    def steps(self) -> int:
        """Steps of the run.

        Raises:
            ValueError: a budget in words decides them, and no `PreparedRun` has filled them in.
        """
        if self.tokens.train_steps is None:
            raise ValueError("tokens.train_steps is null until a PreparedRun has read the corpus")
        return self.tokens.train_steps

    @property
    def model_type(self) -> str:
        """As `marked_model_type` of `model.model_config`."""
        return marked_model_type(self.model.model_config)


def marked_model_type(model_config: Mapping[str, Any]) -> str:
    """ "tokenformer" for a `model_config` block that says `is_tokenformer_config: true`, and so on."""
    marks = [key for key, value in model_config.items() if key.startswith("is_") and value is True]
    names = [mark.removeprefix("is_").removesuffix("_config") for mark in marks if mark.endswith("_config")]
    if len(names) != 1:
        raise UserError(
            "model.model_config must say once what it is: is_tokenformer_config: true or is_llama_config: true"
        )
    return names[0]
