"""What can be wrong with a run, found before any work starts."""

import os
import re
from collections.abc import Sequence
from typing import Any

from tokenformer.config.sections import RunConfig
from tokenformer.errors import UserError
from tokenformer.growth.policy import GrowthPolicy

DTYPES = ("float32", "bfloat16", "float16")


def check_launch(config: RunConfig) -> None:
    """The number of processes is what the layout asks for."""
    layout, world_size = config.parallelism, int(os.environ.get("WORLD_SIZE", "1"))
    if layout.world_size != world_size:
        raise UserError(
            f"parallelism dp {layout.dp} x tp {layout.tp} x pp {layout.pp} needs {layout.world_size} processes, "
            f"not {world_size}: start with torchrun --nproc-per-node {layout.world_size} -m tokenformer train ... "
            f"or set the layout, as in --set parallelism.dp={world_size}"
        )


def check_settings(config: RunConfig, growth: GrowthPolicy | None) -> None:
    """Values that do not go together."""
    if config.model.dtype not in DTYPES:
        raise UserError(f"model.dtype is {config.model.dtype!r}; choose one of {', '.join(DTYPES)}")
    if config.model.dtype == "float32" and config.optimizer.accumulate_grad_in_fp32:
        raise UserError(
            "optimizer.accumulate_grad_in_fp32 must be false when model.dtype is float32: it already is fp32"
        )
    if config.optimizer.optimizer_factory.name != "adamW":
        raise UserError(f"optimizer.optimizer_factory.name is {config.optimizer.optimizer_factory.name!r}; use adamW")
    if growth is not None and config.optimizer.zero_stage:
        raise UserError("growth needs optimizer.zero_stage: 0; the sharded optimizer of stage 1 cannot be grown yet")
    for group in config.optimizer.parameter_groups:
        try:
            re.compile(group.parameters)
        except re.error as error:
            raise UserError(
                f"optimizer.parameter_groups: {group.parameters!r} is no regular expression: {error}"
            ) from None
    for key in ("sequence_length", "train_steps", "micro_batch_size", "batch_accumulation_per_replica"):
        if getattr(config.tokens, key) < 1:
            raise UserError(f"tokens.{key} is {getattr(config.tokens, key)}; it must be 1 or more")
    if config.checkpoints.checkpoint_interval < 1:
        raise UserError(f"checkpoints.checkpoint_interval is {config.checkpoints.checkpoint_interval}; 1 or more")
    if not 0 <= config.curriculum.smoothing < 1:
        raise UserError(f"curriculum.smoothing is {config.curriculum.smoothing}; it must be 0 or more and below 1")


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
