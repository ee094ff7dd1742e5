"""The sections of a run's YAML that Nanotron has, too, as dataclasses.

Names and nesting follow Nanotron's main branch. Of Nanotron's keys those are here that a run of ours can use.
"""

import re
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any, Dict, List, Optional  # noqa: UP035 (Python 3.11's get_type_hints and dacite agree on these)

from tokenformer.config.keys import REQUIRED, key
from tokenformer.errors import UserError

# ruff: noqa: UP006, UP045

LOG_LEVELS = ("debug", "info", "warning", "error", "critical")
DTYPES = ("float32", "bfloat16", "float16")
LARGEST_SEED = 2**32 - 1
MOST_STEPS = 10**9
MOST_TOKENS = 2**24


def _refuse_placeholders(name: str, value: str | None) -> None:
    """Each process of a run, and each start, would put another date there, so the run could not go on.

    Raises:
        UserError: the value of the key `name` has one.
    """
    if value is not None and re.search("%date|%jobid", value):
        raise UserError(
            f"{name} is {value!r}, and a run goes on only under a name that stays; write it out, or let the shell do "
            f'so: --set "{name}=$(date +%Y%m%d)_$SLURM_JOB_ID"'
        )


@dataclass
class General:
    run: str = key("run", "name of this run; everything it writes is in RUNS_FOLDER/RUN", also=("name", "run_name"))
    project: str = key("tokenformer", "name of a group of runs")
    seed: int = key(42, "seed of initial weights and of new parameter tokens", least=0, most=LARGEST_SEED)
    runs_folder: str = key("runs", "where the folders of runs are", also=("output", "output_dir", "save_dir"))
    ignore_sanity_checks: bool = key(True, "false: Nanotron checks every step that ranks agree; slow")

    def __post_init__(self):
        _refuse_placeholders("general.run", self.run)
        place = PurePath(self.run)
        if not self.run.strip() or place.is_absolute() or ".." in place.parts or not place.parts:
            raise UserError(f"general.run is {self.run!r}: give the name of a folder inside general.runs_folder")


@dataclass
class Parallelism:
    dp: int = key(1, "data-parallel replicas; torchrun starts dp x tp x pp processes", least=1, most=65_536)
    tp: int = key(1, "tensor-parallel shards of the parameter tokens", least=1, most=1024)
    pp: int = key(1, "pipeline stages", least=1, most=1024)
    expert_parallel_size: Optional[int] = key(
        1, "Nanotron's; always 1", choices=(1, 0), remedy="there are no experts, so leave it out"
    )
    pp_engine: str = key("1f1b", "order of the microbatches in a pipeline", choices=("1f1b", "afab"))
    tp_mode: str = key("ALL_REDUCE", "REDUCE_SCATTER is sequence parallelism", choices=("ALL_REDUCE", "REDUCE_SCATTER"))
    tp_linear_async_communication: bool = key(False, "overlap communication in Nanotron's own sharded layers")

    @property
    def world_size(self) -> int:
        return self.dp * self.pp * self.tp


@dataclass
class InitMethod:
    """Random weights of a standard deviation, or those of a checkpoint; one of the two is None."""

    std: Optional[float] = key(
        None,
        "spread of random weights but value tokens; 1 / sqrt(hidden_size) learns fastest",
        above=0,
        most=1000,
    )
    path: Optional[str] = key(None, "start from the weights of a checkpoint, RUN/checkpoints/STEP; then std: null")
    optimizer: bool = key(False, "with path: take Adam's moments too")


@dataclass
class Model:
    model_config: Dict[str, Any] = key(REQUIRED, "the model type and its shape", registry="model type")
    init_method: InitMethod = key(InitMethod(std=0.02), "how the weights begin")
    dtype: str = key("float32", "dtype of weights; on a CPU float32 is the fast one", choices=DTYPES)
    make_vocab_size_divisible_by: int = key(
        1, "the vocabulary is padded to a multiple of this number", least=1, most=65_536
    )
    ddp_bucket_cap_mb: int = key(25, "megabytes of a gradient bucket between replicas", least=1, most=100_000)


@dataclass
class Tokenizer:
    tokenizer_name_or_path: Optional[str] = key(
        None,
        "Nanotron's; the corpus brings its tokenizer",
        choices=(),
        remedy="leave it out: `tokenformer prepare "
        "--tokenizer FOLDER` puts a tokenizer into the corpus, and a run takes that one",
    )


@dataclass
class Checkpoints:
    checkpoint_interval: int = key(
        1000,
        "steps between checkpoints; the last step is always saved",
        least=1,
        most=MOST_STEPS,
        also=("save_steps", "save_interval"),
    )
    checkpoints_path: Optional[str] = key(None, "folder of the checkpoints; null: RUNS_FOLDER/RUN/checkpoints")
    save_initial_state: bool = key(False, "true: save also before the first step")
    babylm_ladder: bool = key(False, "true: save also at 1M, 2M .. 10M, 20M .. 100M, 200M and so on words")
    keep_last: Optional[int] = key(
        None, "how many of the newest checkpoints stay, beside the ladder's; null: all", least=1, most=MOST_STEPS
    )

    def __post_init__(self):
        _refuse_placeholders("checkpoints.checkpoints_path", self.checkpoints_path)


@dataclass
class Logging:
    log_level: str = key("warning", "log level of rank 0", choices=LOG_LEVELS)
    log_level_replica: str = key("warning", "log level of the other ranks", choices=LOG_LEVELS)
    iteration_step_info_interval: int = key(1, "steps between lines of metrics.jsonl", least=1, most=MOST_STEPS)
    tensorboard: bool = key(False, "metrics also for TensorBoard, in RUNS_FOLDER/RUN/tensorboard; needs tensorboard")
    wandb: bool = key(False, "metrics also for Weights & Biases, in the project general.project; needs wandb")
    trackio: bool = key(False, "metrics also for trackio, in the project general.project; needs trackio")


@dataclass
class Tokens:
    """`train_steps` is None while `curriculum.budget.words` decides it; a `PreparedRun` has it filled in."""

    sequence_length: int = key(
        REQUIRED,
        "tokens a sample",
        least=1,
        most=MOST_TOKENS,
        also=("seq_len", "max_seq_len", "block_size", "max_length"),
    )
    micro_batch_size: int = key(
        16, "samples a microbatch", least=1, most=65_536, also=("batch_size", "per_device_train_batch_size")
    )
    batch_accumulation_per_replica: int = key(
        1, "microbatches a step", least=1, most=65_536, also=("gradient_accumulation_steps", "grad_accumulation")
    )
    train_steps: Optional[int] = key(
        None,
        "steps of the whole run; null where curriculum.budget.words decides",
        least=1,
        most=MOST_STEPS,
        also=("max_steps", "steps", "num_steps", "total_steps", "iterations"),
    )
    val_check_interval: int = key(
        -1,
        "steps between held-out losses; -1: only before the first and after the last step",
        least=-1,
        most=MOST_STEPS,
        also=("eval_steps", "eval_interval"),
    )


@dataclass
class OptimizerFactory:
    name: str = key("adamW", "the only optimizer so far", choices=("adamW",))
    adam_beta1: float = key(0.9, "decay of the first moment", least=0, below=1, also=("beta1",))
    adam_beta2: float = key(0.95, "decay of the second moment", least=0, below=1, also=("beta2",))
    adam_eps: float = key(1e-8, "added to the root of the second moment", above=0, most=1, also=("eps", "epsilon"))
    torch_adam_is_fused: bool = key(True, "true: torch's fused implementation")


@dataclass
class LearningRateScheduler:
    learning_rate: float = key(
        1e-3, "learning rate after warm-up", above=0, most=1000, also=("lr", "max_lr", "peak_lr")
    )
    lr_warmup_steps: int = key(0, "steps of warm-up", least=0, most=MOST_STEPS, also=("warmup_steps", "warmup"))
    lr_warmup_style: str = key("linear", "shape of the warm-up", choices=("linear", "constant"))
    lr_decay_style: str = key("linear", "shape of the decay", choices=("linear", "cosine"))
    lr_decay_starting_step: Optional[int] = key(
        None, "step at which the decay starts; null: right after warm-up", least=0, most=MOST_STEPS
    )
    lr_decay_steps: Optional[int] = key(None, "steps of the decay; null: to the end", least=0, most=MOST_STEPS)
    min_decay_lr: Optional[float] = key(
        None, "learning rate at the end of the decay; null: no decay", least=0, most=1000, also=("min_lr",)
    )


@dataclass
class ParameterGroup:
    """Parameters whose names match the regular expression `parameters`; None keeps the optimizer's weight decay."""

    parameters: str = key(REQUIRED, "regular expression for names of parameters")
    weight_decay: Optional[float] = key(None, "weight decay of this group; null: the optimizer's", least=0, most=1000)
    learning_rate_factor: float = key(
        1.0, "learning rate of this group in multiples of learning_rate", least=0, most=1e6
    )

    def __post_init__(self):
        try:
            re.compile(self.parameters)
        except re.error as error:
            raise UserError(f"parameters: {self.parameters!r} is no regular expression: {error}") from None


# As in the official Tokenformer: norms and biases are not decayed, parameter tokens and embeddings are.
PUBLISHED_PARAMETER_GROUPS = [ParameterGroup(parameters=r"norm|bias|\.tau$", weight_decay=0.0)]


@dataclass
class Optimizer:
    optimizer_factory: OptimizerFactory = key(OptimizerFactory(), "the optimizer")
    learning_rate_scheduler: LearningRateScheduler = key(
        LearningRateScheduler(), "warm-up, constant, short decay: growth and a curriculum want no decay while they last"
    )
    zero_stage: int = key(0, "1 shards the optimizer over replicas", choices=(0, 1))
    weight_decay: float = key(0.1, "weight decay of AdamW", least=0, most=1000)
    clip_grad: Optional[float] = key(
        1.0, "largest norm of the gradient, which growth changes; null: no clipping", above=0, most=1e9
    )
    on_divergence: str = key(
        "stop",
        "action at a gradient that is not finite",
        choices=("stop", "skip", "restart_from_checkpoint"),
    )
    most_divergences: int = key(3, "steps skipped, or restarts, before the run ends", least=1, most=1000)
    accumulate_grad_in_fp32: bool = key(False, "true: gradients add up in fp32, for 16-bit models")
    parameter_groups: List[ParameterGroup] = key(
        PUBLISHED_PARAMETER_GROUPS, "a parameter is in the first group whose pattern its name matches; others as above"
    )


@dataclass
class Dataset:
    dataset_folder: str = key(
        REQUIRED, "folder that `tokenformer prepare` wrote", also=("dataset", "corpus", "data_dir")
    )


@dataclass
class Data:
    dataset: Dataset = key(REQUIRED, "the corpus")
    seed: int = key(42, "seed of the sample plan", least=0, most=LARGEST_SEED)
    num_loading_workers: int = key(
        0, "processes that read ahead; the order does not depend on it", least=0, most=256, also=("num_workers",)
    )


@dataclass(kw_only=True)
class DataStage:
    name: str = key("corpus", "name of the data in the plan")
    start_training_step: Optional[int] = key(
        1, "Nanotron's; always 1", choices=(1, 0), remedy="there is one stage, and `curriculum` orders the data"
    )
    data: Data = key(REQUIRED, "what is read, and how")
