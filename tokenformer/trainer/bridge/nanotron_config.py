"""Translates a `RunConfig`, which speaks Nanotron's main branch, to the config of the release on PyPI, 0.4."""

import dataclasses
from typing import Any

import yaml

from tokenformer.config.sections import RunConfig


def _optimizer(config: RunConfig) -> dict[str, Any]:
    section = dataclasses.asdict(config.optimizer)
    factory = section.pop("optimizer_factory")
    factory.pop("name")  # 0.4 knows AdamW only, which `checks` holds
    for ours in ("parameter_groups", "on_divergence", "most_divergences"):
        section.pop(ours)
    schedule = section["learning_rate_scheduler"]
    # 0.4 declares optional numbers as float, and takes its default for a missing key alone.
    section["learning_rate_scheduler"] = {key: value for key, value in schedule.items() if value is not None}
    return section | factory


def _model(config: RunConfig, model_config: Any) -> dict[str, Any]:
    init = config.model.init_method
    method = {"std": init.std} if init.path is None else {"path": init.path}
    return dataclasses.asdict(config.model) | {
        "model_config": dataclasses.asdict(model_config),
        "init_method": method,
    }


def _named(section: Any, *keys: str) -> dict[str, Any]:
    """The keys of a section that are Nanotron's."""
    return {key: getattr(section, key) for key in keys}


def nanotron_settings(config: RunConfig, model_config: Any) -> dict[str, Any]:
    """The mapping that Nanotron 0.4's `get_config_from_file` reads.

    It names no checkpoint to resume from: Nanotron would read one of the same layout alone, so the trainer reads it.

    Args:
        model_config: the model's config as it is now, grown or not, a dataclass.
    """
    data = config.data_stages[0].data
    return {
        "general": _named(config.general, "project", "run", "seed", "ignore_sanity_checks"),
        "parallelism": dataclasses.asdict(config.parallelism) | {"expert_parallel_size": 1},
        "model": _model(config, model_config),
        "tokenizer": dataclasses.asdict(config.tokenizer),
        "checkpoints": {
            "checkpoints_path": str(config.checkpoints_folder),
            "checkpoint_interval": config.checkpoints.checkpoint_interval,
            "save_initial_state": config.checkpoints.save_initial_state,
            "resume_checkpoint_path": None,
            "checkpoints_path_is_shared_file_system": True,
        },
        "logging": _named(config.logging, "log_level", "log_level_replica", "iteration_step_info_interval"),
        "tokens": dataclasses.asdict(config.tokens),
        "optimizer": _optimizer(config),
        "data": {"dataset": None, "seed": data.seed, "num_loading_workers": data.num_loading_workers},
    }


def as_nanotron_yaml(config: RunConfig, model_config: Any) -> str:
    return yaml.safe_dump(nanotron_settings(config, model_config), sort_keys=False)
