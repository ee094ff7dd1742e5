"""Where a run starts: at its beginning, or at its newest checkpoint when that belongs to the same run."""

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tokenformer.config.loading import as_yaml
from tokenformer.config.sections import RunConfig
from tokenformer.errors import UserError
from tokenformer.trainer.checkpoint import GrowthRecord, latest_checkpoint, read_curriculum, read_growth
from tokenformer.trainer.growth_history import check_growth_history
from tokenformer.trainer.prepared_run import PreparedRun

# What may differ between a run and its continuation: it does not change what is computed, but for rounding.
FREE_KEYS = ("logging", "checkpoints", "general.ignore_sanity_checks", "general.project", "data_stages.0.name")
FREE_KEYS += ("data_stages.0.data.num_loading_workers", "parallelism", "tokens.val_check_interval", "validation")
FREE_KEYS += ("model.model_config.kernel", "tokens.micro_batch_size", "tokens.batch_accumulation_per_replica")
FREE_KEYS += ("general.runs_folder", "data_stages.0.data.dataset.dataset_folder", "growth.tolerance")


@dataclass(frozen=True)
class StartingPoint:
    """Where a run starts.

    Args:
        checkpoint: folder of the checkpoint, or None for the beginning.
        step: training steps done.
        model_config: the model's config there.
        growth: the operator history until there.
        resolved_config: the run's config with every key, as YAML.
    """

    checkpoint: Path | None
    step: int
    model_config: Any
    growth: GrowthRecord
    resolved_config: str


def _flat(value: Any, path: str = "") -> dict[str, Any]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else None
    if items is None:
        return {path: value}
    flat = {}
    for key, child in items:
        flat.update(_flat(child, f"{path}.{key}" if path else str(key)))
    return flat


def _is_free(key: str) -> bool:
    return any(key == free or key.startswith(free + ".") for free in FREE_KEYS)


def _check_same_run(config: RunConfig) -> None:
    path = config.run_folder / "config.yaml"
    if not path.exists():
        return
    before, now = _flat(yaml.safe_load(path.read_text(encoding="utf-8"))), _flat(dataclasses.asdict(config))
    for key in sorted(before.keys() | now.keys()):
        if before.get(key) != now.get(key) and not _is_free(key):
            raise UserError(
                f"the run {config.run_folder} was started with {key}: {before.get(key)!r}, and the config now says "
                f"{now.get(key)!r}; set it back, or start another run with --set general.run=NAME"
            )


def _check_same_model(run: PreparedRun, folder: Path, growth: GrowthRecord) -> Any:
    model_config = run.grown_model_config(len(growth.events))
    recorded, expected = _flat(growth.model_config), _flat(dataclasses.asdict(model_config))
    for key in sorted(recorded.keys() | expected.keys()):
        differs = recorded.get(key) != expected.get(key)
        if differs and key not in ("kernel", "vocab_size"):
            raise UserError(
                f"the checkpoint {folder} holds a model with {key}: {recorded.get(key)!r} after {len(growth.events)} "
                f"growth events, and the config makes {expected.get(key)!r}; it belongs to another config"
            )
    return model_config


def _check_same_layout(config: RunConfig, folder: Path) -> None:
    """Nanotron 0.4 cannot bring Adam's moments to another tp or pp, nor those that ZeRO sharded to another dp."""
    record = folder / "optimizer" / "optimizer_config.json"
    try:
        content = json.loads(record.read_text(encoding="utf-8"))
        recorded = {key: int(content["parallelism"][f"{key}_size"]) for key in ("dp", "tp", "pp")}
    except (OSError, ValueError, KeyError) as error:
        raise UserError(f"{record}, which records the checkpoint's layout, cannot be read: {error}") from error
    for key in ("tp", "pp", "dp") if config.optimizer.zero_stage else ("tp", "pp"):
        now = getattr(config.parallelism, key)
        if now != recorded[key]:
            raise UserError(
                f"the checkpoint {folder} was written with parallelism.{key} {recorded[key]}, and its optimizer cannot "
                f"go on with {now}: set parallelism.{key}={recorded[key]}"
            )


def starting_point(run: PreparedRun) -> StartingPoint:
    """The newest checkpoint of the run, or its beginning.

    Raises:
        UserError: the folder holds another run, or the checkpoint does not fit the config.
    """
    config = run.config
    _check_same_run(config)
    folder = latest_checkpoint(config.checkpoints_folder)
    if folder is None:
        growth = GrowthRecord(config.general.seed, dataclasses.asdict(run.base_model_config))
        return StartingPoint(None, 0, run.grown_model_config(0), growth, as_yaml(config))
    _check_same_layout(config, folder)
    growth, curriculum = read_growth(folder), read_curriculum(folder)
    if curriculum.plan != run.plan.fingerprint:
        raise UserError(
            f"the checkpoint {folder} was trained on another sample plan: the corpus {config.corpus_folder} or the "
            f"curriculum has changed since; restore it, or start another run with --set general.run=NAME"
        )
    check_growth_history(run, folder, growth)
    model_config = _check_same_model(run, folder, growth)
    return StartingPoint(folder, int(folder.name), model_config, growth, as_yaml(config))
