"""Finds mistakes in a run before any work starts."""

from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any

from tokenformer.config.added_sections import Evaluation
from tokenformer.config.nanotron_sections import InitMethod, Logging
from tokenformer.config.sections import RunConfig
from tokenformer.devices import process_count
from tokenformer.errors import MissingExtraError, UserError
from tokenformer.evaluation.task_files import find_tasks
from tokenformer.growth.policy import GrowthPolicy


def check_launch(config: RunConfig) -> None:
    """The number of processes is what the layout asks for."""
    layout, world_size = config.parallelism, process_count()
    if layout.world_size != world_size:
        raise UserError(
            f"parallelism dp {layout.dp} x tp {layout.tp} x pp {layout.pp} needs {layout.world_size} processes, "
            f"not {world_size}: start with torchrun --nproc-per-node {layout.world_size} -m tokenformer train ... "
            f"or set the layout, as in parallelism.dp={world_size}"
        )


def check_settings(config: RunConfig) -> None:
    """Values that do not go together."""
    _check_curriculum(config)
    if config.model.dtype == "float32" and config.optimizer.accumulate_grad_in_fp32:
        raise UserError(
            "optimizer.accumulate_grad_in_fp32 must be false when model.dtype is float32: it already is fp32"
        )
    if config.optimizer.on_divergence == "skip" and config.optimizer.clip_grad is None:
        raise UserError(
            "optimizer.on_divergence is skip, which needs the norm of the gradient: set optimizer.clip_grad, of which "
            "1.0e9 clips nothing"
        )
    length, ranks = config.tokens.sequence_length, config.parallelism.tp
    if config.parallelism.tp_mode == "REDUCE_SCATTER" and length % ranks:
        raise UserError(f"tokens.sequence_length {length} cannot be split over parallelism.tp {ranks}")
    _check_init_method(config.model.init_method)
    _check_trackers(config.logging)
    if config.evaluation is not None:
        check_evaluation(config.evaluation)


def _check_curriculum(config: RunConfig) -> None:
    curriculum = config.curriculum
    if config.tokens.train_steps is None and curriculum.budget.words is None:
        raise UserError("how long is the run? Give tokens.train_steps, or words to curriculum.budget.words")
    ranks = config.parallelism.tp if config.parallelism.tp_mode == "REDUCE_SCATTER" else 1
    for phase in curriculum.context_length or []:
        if phase.length % ranks:
            raise UserError(
                f"curriculum.context_length {phase.length} cannot be split over parallelism.tp {ranks}; choose a "
                "multiple, or tp_mode ALL_REDUCE"
            )


def _check_trackers(logging: Logging) -> None:
    for package in ("tensorboard", "wandb", "trackio"):
        if getattr(logging, package) and find_spec(package) is None:
            raise MissingExtraError(package, extra=package, purpose=f"logging.{package}")


def check_growth(config: RunConfig, growth: GrowthPolicy) -> None:
    """The dtype bears the operators, and what the trigger reads of held-out losses is measured."""
    for operator in growth.operators:
        operator.check_dtype(config.model.dtype)
    if config.model.model_config.get("parametrization") == "transfer" and not growth.learning_rate_follows_width:
        raise UserError(
            "growth.learning_rate_follows_width is false, and under model.model_config.parametrization transfer rates "
            "follow the size of the model; set it to true, or the parametrization to standard"
        )
    interval = config.tokens.val_check_interval
    if interval < 1 and any(need.source == "validation" for need in growth.trigger.needs):
        raise UserError(
            f"growth.trigger reads validation losses, and tokens.val_check_interval is {interval}; set it to the steps "
            "between two of them"
        )


def check_evaluation(evaluation: Evaluation) -> None:
    """The tasks are known, and it is said when they are scored."""
    if not evaluation.tasks and evaluation.samples is None:
        return
    if evaluation.tasks:
        find_tasks(evaluation.tasks)
    if evaluation.every_words is None and not evaluation.at_words:
        raise UserError("evaluation has neither at_words nor every_words; say when, or set evaluation: null")


def _check_init_method(init: InitMethod) -> None:
    if init.std is None and init.path is None:
        raise UserError("model.init_method says nothing: give it std for random weights, or the path of a checkpoint")
    if init.std is not None and init.path is not None:
        raise UserError(
            f"model.init_method has both std {init.std} and path {init.path}; set model.init_method.std=null to start "
            f"from the checkpoint, or model.init_method.path=null for random weights"
        )
    if init.optimizer and init.path is None:
        raise UserError("model.init_method.optimizer is true, but without a path there is no optimizer to start from")


def check_model(config: RunConfig, model_configs: Sequence[Any], vocabulary_size: int) -> None:
    """The model of every stage fits the text and the layout.

    Args:
        model_configs: the model's config at the start and after each growth event.
        vocabulary_size: of the corpus' tokenizer.
    """
    first = model_configs[0]
    if first.vocab_size < vocabulary_size:
        raise UserError(
            f"model.model_config.vocab_size {first.vocab_size} is smaller than the tokenizer's {vocabulary_size}; "
            f"set it to {vocabulary_size} or more"
        )
    if config.tokens.sequence_length > first.max_position_embeddings:
        raise UserError(
            f"tokens.sequence_length {config.tokens.sequence_length} is longer than model.model_config."
            f"max_position_embeddings {first.max_position_embeddings}; shorten the one or raise the other"
        )
    ranks = config.parallelism.tp
    for key in ("num_attention_heads", "num_key_value_heads"):
        if getattr(first, key) % ranks:
            raise UserError(
                f"model.model_config.{key} {getattr(first, key)} cannot be spread over parallelism.tp {ranks}"
            )
    if config.model_type == "tokenformer":
        _check_token_shards(model_configs, ranks)


def _check_token_shards(model_configs: Sequence[Any], ranks: int) -> None:
    from tokenformer.model.config import PROJECTIONS

    for stage, model_config in enumerate(model_configs, start=1):
        for layer in range(model_config.num_hidden_layers):
            for projection in PROJECTIONS:
                for segment in model_config.segments(projection, layer):
                    if segment.tokens % ranks and model_config.is_pattention(projection):
                        below = segment.tokens // ranks * ranks
                        raise UserError(
                            f"stage {stage}: {projection}_tokens {segment.tokens} of layer {layer} cannot be sharded "
                            f"over parallelism.tp {ranks}; the nearest sizes are {below or ranks} and {below + ranks}"
                        )
