"""A run's YAML with every section checked, by all rooms that have keys in it, within a second and without torch."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tokenformer.config.building import build
from tokenformer.config.explained import explained_yaml
from tokenformer.config.loading import as_yaml, load_config
from tokenformer.config.sections import RunConfig
from tokenformer.curriculum import ORDERINGS, SELECTIONS
from tokenformer.growth.triggers import TRIGGERS
from tokenformer.model.config import MODEL_TYPES
from tokenformer.observers import OBSERVERS

START = {
    "tokenformer": {
        "is_tokenformer_config": True,
        "max_position_embeddings": 128,
        "hidden_size": 128,
        "num_hidden_layers": 4,
        "num_attention_heads": 4,
        "qkv_tokens": 64,
        "output_tokens": 64,
        "feed_forward_tokens": 256,
    },
    "llama": {
        "is_llama_config": True,
        "max_position_embeddings": 128,
        "hidden_size": 128,
        "num_hidden_layers": 4,
        "num_attention_heads": 4,
        "intermediate_size": 512,
    },
}
"""Model type -> a small model to start from; these keys have no default that would fit every run."""

CHECKED = {registry.kind: registry for registry in (ORDERINGS, SELECTIONS, TRIGGERS, MODEL_TYPES, OBSERVERS)}
"""Operators are not among them: they need torch, and `growth.policy` checks their sections."""


def load_run_config(path: Path, assignments: Sequence[str] = ()) -> RunConfig:
    """Reads and checks a run's YAML, after its `plugins` were imported.

    Raises:
        UserError: as `load_config`, and whatever is wrong in a section that names what it is.
    """
    return load_config(path, assignments, CHECKED)


def resolved_yaml(path: Path, assignments: Sequence[str] = ()) -> str:
    """The whole YAML that a run of this file has: with what it extends, the assignments and every default."""
    return as_yaml(load_run_config(path, assignments))


def starting_yaml(model_type: str, full: bool = False) -> str:
    """A YAML to start from: of the keys that must be given, or of all keys at their defaults, each explained.

    Raises:
        UserError: an unknown model type.
    """
    kind = MODEL_TYPES.find(model_type)
    content: dict[str, Any] = {
        "model": {"model_config": START[model_type]},
        "tokens": {"sequence_length": 128, "train_steps": 1000},
        "data_stages": [{"data": {"dataset": {"dataset_folder": "data/mine"}}}],
    }
    if full:
        content = dataclasses.asdict(build(content, RunConfig, "", "the config"))
        shape = dataclasses.asdict(build(START[model_type], kind, "model.model_config", "the config"))
        content["model"]["model_config"] = shape
    return explained_yaml(content, RunConfig, CHECKED if full else {MODEL_TYPES.kind: MODEL_TYPES})
