"""The checkpoint that a new run starts from: `model.init_method.path`."""

import dataclasses
from pathlib import Path
from typing import Any

from tokenformer.config.sections import marked_model_type
from tokenformer.errors import UserError
from tokenformer.run_folder.names import MODEL_CONFIG
from tokenformer.trainer.checkpoint.stored import StoredCheckpoint
from tokenformer.trainer.run.prepared_run import PreparedRun

# What may differ from the checkpoint's: neither its weights nor what they compute depend on it.
FREE_MODEL_KEYS = ("kernel", "initialization", "parametrization", "base_size", "max_position_embeddings")


def initial_checkpoint(run: PreparedRun) -> StoredCheckpoint | None:
    """The checkpoint whose weights the run begins with, or None if it begins with random ones.

    Raises:
        UserError: there is no such checkpoint, it is damaged, its model is not the run's, or it lacks the optimizer
            that `model.init_method.optimizer` asks for.
    """
    init = run.config.model.init_method
    if init.path is None:
        return None
    try:
        stored = StoredCheckpoint(Path(init.path))
    except UserError as error:
        raise UserError(f"model.init_method.path: {error}") from None
    _check_model(stored, run)
    if init.optimizer and not stored.has_moments:
        raise UserError(
            f"model.init_method.optimizer is true, but the checkpoint {stored.folder} holds no optimizer; set it to "
            f"false"
        )
    return stored


def _check_model(stored: StoredCheckpoint, run: PreparedRun) -> None:
    model_type = marked_model_type(stored.model_settings)
    if model_type != run.config.model_type:
        raise UserError(
            f"model.init_method.path: {stored.folder} holds a {model_type}, and model.model_config is that of a "
            f"{run.config.model_type}; make them one"
        )
    theirs, ours = dataclasses.asdict(stored.model_config), dataclasses.asdict(run.base_model_config)
    for key in ours:
        if theirs[key] != ours[key] and key not in FREE_MODEL_KEYS:
            raise UserError(
                f"model.init_method.path: {stored.folder} holds a model with {key}: {theirs[key]!r}, and "
                f"model.model_config.{key} is {ours[key]!r}; {_remedy(key, theirs[key], run)}"
            )


def _remedy(key: str, theirs: Any, run: PreparedRun) -> str:
    if key == "vocab_size" and theirs < run.corpus.vocabulary_size:
        return (
            f"it does not know the {run.corpus.vocabulary_size} tokens of {run.config.corpus_folder}: prepare the "
            f"corpus with the tokenizer of the checkpoint"
        )
    if key == "vocab_size" and theirs % run.config.parallelism.tp:
        return f"parallelism.tp {run.config.parallelism.tp} does not divide its vocabulary, so choose another"
    return f"set it as in {MODEL_CONFIG} there"
