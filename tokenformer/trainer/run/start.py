"""Where a run starts: at its beginning, or at its newest checkpoint when that belongs to the same run."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tokenformer.config.comparison import differences
from tokenformer.config.loading import as_yaml
from tokenformer.config.sections import RunConfig
from tokenformer.errors import UserError
from tokenformer.growth.triggers import LossHistory
from tokenformer.trainer.checkpoint.records import (
    GrowthRecord,
    latest_checkpoint,
    read_curriculum,
    read_growth,
    read_losses,
    refuse_foreign,
    stored_steps,
)
from tokenformer.trainer.checkpoint.stored import StoredCheckpoint
from tokenformer.trainer.run.earlier_config import earlier_config
from tokenformer.trainer.run.growth_history import check_growth_history
from tokenformer.trainer.run.initial_checkpoint import initial_checkpoint
from tokenformer.trainer.run.prepared_run import PreparedRun

# What may differ between a run and its continuation: it does not change what is computed, but for rounding.
FREE_KEYS = ("logging", "checkpoints", "general.ignore_sanity_checks", "general.project", "data_stages.0.name")
FREE_KEYS += ("data_stages.0.data.num_loading_workers", "parallelism", "tokens.val_check_interval", "validation")
FREE_KEYS += ("model.model_config.kernel", "tokens.micro_batch_size", "tokens.batch_accumulation_per_replica")
FREE_KEYS += ("optimizer.zero_stage", "model.make_vocab_size_divisible_by", "general.runs_folder")
FREE_KEYS += ("data_stages.0.data.dataset.dataset_folder", "growth.tolerance", "evaluation")
FREE_KEYS += ("optimizer.on_divergence", "optimizer.most_divergences")
# What may not differ after all when growth depends on the held-out loss: which text it is measured on, and how often.
VALIDATION_KEYS = ("tokens.val_check_interval", "validation.levels")


@dataclass(frozen=True)
class StartingPoint:
    """Where a run starts.

    Args:
        checkpoint: folder of the checkpoint, or None for the beginning.
        step: training steps done.
        model_config: the model's config there.
        growth: the operator history until there.
        losses: what the trigger reads of the losses until there.
        resolved_config: the run's config with every key, as YAML.
        stored: the checkpoint whose weights the run begins or goes on with, or None for random ones.
        with_moments: whether Adam's moments are taken from it too.
    """

    checkpoint: Path | None
    step: int
    model_config: Any
    growth: GrowthRecord
    losses: LossHistory
    resolved_config: str
    stored: StoredCheckpoint | None = None
    with_moments: bool = False


def _is_free(key: str, reads_validation: bool) -> bool:
    if reads_validation and key in VALIDATION_KEYS:
        return False
    return any(key == free or key.startswith(free + ".") for free in FREE_KEYS)


def _check_same_run(config: RunConfig, losses: LossHistory, checkpoint: Path | None) -> None:
    earlier = earlier_config(config.run_folder, checkpoint)
    if earlier is None:
        return
    if earlier.general.run != config.general.run:
        raise UserError(
            f"{checkpoint or config.run_folder} belongs to the run {earlier.general.run}, and this run is "
            f"{config.general.run}; give this one a checkpoints.checkpoints_path of its own, or go on with that one by "
            f"general.run={earlier.general.run}"
        )
    reads_validation = losses.reads("validation")
    for key, before, now in differences(dataclasses.asdict(earlier), dataclasses.asdict(config)):
        if not _is_free(key, reads_validation):
            raise UserError(
                f"the run {config.run_folder} was started with {key}: {before!r}, and the config now says {now!r}; "
                f"set it back, or start another run with general.run=NAME"
            )


def _check_same_model(run: PreparedRun, folder: Path, growth: GrowthRecord) -> Any:
    model_config = run.grown_model_config(len(growth.events))
    for key, recorded, expected in differences(growth.model_config, dataclasses.asdict(model_config)):
        if key == "vocab_size":
            raise UserError(
                f"the checkpoint {folder} holds a model with vocab_size: {recorded}, and the config makes {expected}, "
                f"padded to a multiple of make_vocab_size_divisible_by and parallelism.tp; choose these so that it "
                f"becomes {recorded}"
            )
        if key != "kernel":
            raise UserError(
                f"the checkpoint {folder} holds a model with {key}: {recorded!r} after {len(growth.events)} "
                f"growth events, and the config makes {expected!r}; it belongs to another config"
            )
    return model_config


def _beginning(run: PreparedRun, losses: LossHistory) -> StartingPoint:
    config = run.config
    return StartingPoint(
        checkpoint=None,
        step=0,
        model_config=run.grown_model_config(0),
        growth=GrowthRecord(config.general.seed, dataclasses.asdict(run.base_model_config)),
        losses=losses,
        resolved_config=as_yaml(config),
        stored=initial_checkpoint(run),
        with_moments=config.model.init_method.optimizer,
    )


def _chosen_checkpoint(folder: Path, step: int | None) -> Path | None:
    """The checkpoint of a step among those in `folder`; for None the newest, if there is one."""
    if step is None:
        return latest_checkpoint(folder)
    steps = stored_steps(folder)
    if step not in steps:
        known = f"there are {', '.join(map(str, steps))}" if steps else "there is none"
        raise UserError(f"{folder} has no checkpoint of step {step}: {known}")
    return folder / str(step)


def starting_point(run: PreparedRun, from_step: int | None = None) -> StartingPoint:
    """The checkpoint of a step, by default the newest one of the run; or its beginning.

    Raises:
        UserError: the folder holds another run, or the checkpoint is damaged or does not fit the config; or the
            checkpoint that the run is to begin with does not.
    """
    config, losses = run.config, run.loss_history()
    refuse_foreign(config.checkpoints_folder)
    folder = _chosen_checkpoint(config.checkpoints_folder, from_step)
    stored = None if folder is None else StoredCheckpoint(folder)
    _check_same_run(config, losses, folder)
    if folder is None or stored is None:
        return _beginning(run, losses)
    growth, curriculum = read_growth(folder), read_curriculum(folder)
    if curriculum.corpus not in (None, run.corpus.fingerprint):
        raise UserError(
            f"the checkpoint {folder} was trained on another corpus than {config.corpus_folder} now is, which was "
            f"prepared again or replaced; restore it, or start another run with general.run=NAME"
        )
    if curriculum.plan != run.plan.fingerprint:
        raise UserError(
            f"the checkpoint {folder} was trained on another sample plan: the corpus {config.corpus_folder} or the "
            f"curriculum has changed since; restore it, or start another run with general.run=NAME"
        )
    check_growth_history(run, folder, growth)
    model_config = _check_same_model(run, folder, growth)
    losses = read_losses(folder, losses)
    if stored.step > 0 and not stored.has_moments:
        raise UserError(f"the checkpoint {folder} has lost its optimizer: the folder {folder / 'optimizer'}")
    return StartingPoint(folder, stored.step, model_config, growth, losses, as_yaml(config), stored, with_moments=True)
