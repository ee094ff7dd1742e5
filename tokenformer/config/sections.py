"""The sections of a run's YAML as dataclasses.

Names and nesting follow Nanotron's main branch. Of Nanotron's keys those are here that a run of ours can use; what a
key means is documented where it stands in the YAML files of `configs/`.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Dict, List, Optional, Union  # noqa: UP035 (Python 3.11's get_type_hints and dacite agree on these)

from tokenformer.errors import UserError

# ruff: noqa: UP006, UP007, UP045


@dataclass
class General:
    run: str
    project: str = "tokenformer"
    seed: int = 42
    runs_folder: str = "runs"
    ignore_sanity_checks: bool = True


@dataclass
class Parallelism:
    dp: int = 1
    pp: int = 1
    tp: int = 1
    pp_engine: str = "1f1b"
    tp_mode: str = "ALL_REDUCE"
    tp_linear_async_communication: bool = False
    expert_parallel_size: int = 1

    @property
    def world_size(self) -> int:
        return self.dp * self.pp * self.tp * self.expert_parallel_size


@dataclass
class InitMethod:
    """Random weights of a standard deviation, or those of a checkpoint; one of the two is None."""

    std: Optional[float] = None
    path: Optional[str] = None
    optimizer: bool = False


@dataclass
class Model:
    model_config: Dict[str, Any]
    init_method: InitMethod = field(default_factory=lambda: InitMethod(std=0.02))
    dtype: str = "float32"
    make_vocab_size_divisible_by: int = 1
    ddp_bucket_cap_mb: int = 25


@dataclass
class Tokenizer:
    tokenizer_name_or_path: Optional[str] = None


@dataclass
class Checkpoints:
    checkpoint_interval: int
    checkpoints_path: Optional[str] = None
    save_initial_state: bool = False
    babylm_ladder: bool = False


@dataclass
class Logging:
    log_level: str = "warning"
    log_level_replica: str = "warning"
    iteration_step_info_interval: int = 1


@dataclass
class Tokens:
    """`train_steps` is None while `curriculum.budget.words` decides it; a `PreparedRun` has it filled in."""

    sequence_length: int
    micro_batch_size: int
    train_steps: Optional[int] = None
    batch_accumulation_per_replica: int = 1
    val_check_interval: int = -1


@dataclass
class OptimizerFactory:
    name: str = "adamW"
    adam_beta1: float = 0.9
    adam_beta2: float = 0.95
    adam_eps: float = 1e-8
    torch_adam_is_fused: bool = True


@dataclass
class LearningRateScheduler:
    learning_rate: float
    lr_warmup_steps: int = 0
    lr_warmup_style: str = "linear"
    lr_decay_style: str = "linear"
    lr_decay_starting_step: Optional[int] = None
    lr_decay_steps: Optional[int] = None
    min_decay_lr: Optional[float] = None


@dataclass
class ParameterGroup:
    """Parameters whose names match the regular expression `parameters`; None keeps the optimizer's weight decay."""

    parameters: str
    weight_decay: Optional[float] = None
    learning_rate_factor: float = 1.0


def published_parameter_groups() -> List[ParameterGroup]:
    """As in the official Tokenformer: norms and biases are not decayed, parameter tokens and embeddings are."""
    return [ParameterGroup(parameters=r"norm|bias|\.tau$", weight_decay=0.0)]


@dataclass
class Optimizer:
    learning_rate_scheduler: LearningRateScheduler
    optimizer_factory: OptimizerFactory = field(default_factory=OptimizerFactory)
    zero_stage: int = 0
    weight_decay: float = 0.1
    clip_grad: Optional[float] = 1.0
    accumulate_grad_in_fp32: bool = False
    parameter_groups: List[ParameterGroup] = field(default_factory=published_parameter_groups)


@dataclass
class Dataset:
    dataset_folder: str


@dataclass
class Data:
    dataset: Dataset
    seed: int = 42
    num_loading_workers: int = 0


@dataclass
class DataStage:
    name: str
    data: Data
    start_training_step: int = 1


@dataclass
class WordBudget:
    """`words` is a number or text such as 10M; `max_epochs` bounds how often any document is read. None is no bound."""

    words: Any = None
    max_epochs: Optional[int] = None


@dataclass
class ContextPhase:
    """A context of `length` tokens `until` a fraction of the run's steps; the last phase has no `until`."""

    length: int
    until: Optional[float] = None


@dataclass
class Curriculum:
    """`ordering` is a name in `tokenformer.curriculum.ORDERINGS` and its parameters, `selections` are names in
    `tokenformer.curriculum.SELECTIONS` and theirs; `mixture` holds a share, or a list of [progress, share], for each
    source of the corpus, and takes the place of the sources' weights; `keep_neighbours` is a number of levels of
    difficulty, within which each source is read in the order of its files; `smoothing` is the weight of the past in the
    moving average of complexity that triggers growth."""

    ordering: Dict[str, Any] = field(default_factory=lambda: {"name": "random"})
    selections: List[Dict[str, Any]] = field(default_factory=list)
    mixture: Optional[Dict[str, Any]] = None
    context_length: Optional[List[ContextPhase]] = None
    budget: WordBudget = field(default_factory=WordBudget)
    keep_neighbours: Optional[int] = None
    smoothing: float = 0.98


@dataclass
class Growth:
    """`trigger` is a name in `tokenformer.growth.TRIGGERS` and its parameters; `operators` holds, for each model type,
    a name in `tokenformer.growth.OPERATORS` and its parameters, or a list of them, one for each event. A model type
    without an operator keeps its size.

    The other keys say how it goes on: `new_moments` (see `growth.parameter_state`); whether learning rates follow the
    operator's factors; and for the elements that the last event made, the steps until they have their whole learning
    rate, and how many times that of the others it is."""

    trigger: Dict[str, Any]
    operators: Dict[str, Union[List[Dict[str, Any]], Dict[str, Any]]]
    earliest_step: int = 0
    latest_step: Optional[int] = None
    minimum_steps_between: int = 1
    tolerance: float = 1e-4
    new_moments: str = "keep"
    learning_rate_follows_width: bool = True
    warmup_steps: int = 0
    learning_rate_factor: float = 1.0


@dataclass
class Validation:
    """`levels` is "source" (one level a source of the corpus) or the number of complexity levels of equal size."""

    levels: Any = "source"
    batch_size: int = 32


@dataclass
class Evaluation:
    """`tasks` are names of `tokenformer.evaluation.task_files`; they are scored when so many words have been read, as
    `at_words` lists and at every multiple of `every_words`. `batch_size` None is by the memory of the device."""

    tasks: List[str]
    data: Optional[str] = None
    at_words: List[int] = field(default_factory=list)
    every_words: Optional[int] = None
    fast: bool = True
    batch_size: Optional[int] = None

    def is_due(self, words_before: float, words: float) -> bool:
        """Whether a step that read from `words_before` to `words` words crossed one of the chosen numbers."""
        crosses_multiple = self.every_words is not None and words // self.every_words > words_before // self.every_words
        return crosses_multiple or any(words_before < chosen <= words for chosen in self.at_words)


@dataclass
class RunConfig:
    general: General
    model: Model
    checkpoints: Checkpoints
    tokens: Tokens
    optimizer: Optimizer
    data_stages: List[DataStage]
    parallelism: Parallelism = field(default_factory=Parallelism)
    tokenizer: Tokenizer = field(default_factory=Tokenizer)
    logging: Logging = field(default_factory=Logging)
    curriculum: Curriculum = field(default_factory=Curriculum)
    growth: Optional[Growth] = None
    validation: Validation = field(default_factory=Validation)
    evaluation: Optional[Evaluation] = None

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
    def model_type(self) -> str:
        """As `marked_model_type` of `model.model_config`."""
        return marked_model_type(self.model.model_config)


def marked_model_type(model_config: Dict[str, Any]) -> str:
    """ "tokenformer" for a `model_config` block that says `is_tokenformer_config: true`, and so on."""
    marks = [key for key, value in model_config.items() if key.startswith("is_") and value is True]
    names = [mark.removeprefix("is_").removesuffix("_config") for mark in marks if mark.endswith("_config")]
    if len(names) != 1:
        raise UserError(
            "model.model_config must say once what it is: is_tokenformer_config: true or is_llama_config: true"
        )
    return names[0]
