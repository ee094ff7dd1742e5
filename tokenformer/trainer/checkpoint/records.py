"""Records that our checkpoints add to Nanotron's: `growth.json`, `curriculum.json`; one is whole or not there.

Of a run whose growth depends on losses there is `losses.json` too.
"""

import json
import os
import shutil
from collections.abc import Callable, Container
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tokenformer.config.building import build
from tokenformer.errors import UserError
from tokenformer.files import write_atomically
from tokenformer.growth.triggers import LossHistory
from tokenformer.run_folder.names import CURRICULUM, GROWTH, LATEST, LOSSES, PARTIAL


@dataclass
class GrowthEvent:
    """One growth event; the losses of one that happened on disk are not known."""

    stage: int
    step: int
    operator: dict[str, Any]
    reason: str
    parameters_before: int
    parameters_after: int
    loss_before: float | None
    loss_after: float | None

    def __post_init__(self):
        if "name" not in self.operator:
            raise UserError(f"the operator of growth event {self.stage} has no name")


@dataclass
class GrowthRecord:
    """The operator history of a run: with the run's config it determines the model's present size."""

    seed: int
    model_config: dict[str, Any]
    events: list[GrowthEvent] = field(default_factory=list)


@dataclass
class CurriculumRecord:
    """Where a run stands in its sample plan.

    Args:
        plan: fingerprint of the plan.
        samples: samples read.
        complexity: moving average of their complexity.
        words: whitespace words read, repeats counted; None in checkpoints that were written before it was recorded.
        rung: words of the rung of the BabyLM ladder that this checkpoint stands for, if it does.
    """

    plan: str
    samples: int
    complexity: float
    words: float | None = None
    rung: int | None = None


def write_records(folder: Path, growth: GrowthRecord, curriculum: CurriculumRecord) -> None:
    write_atomically(folder / GROWTH, json.dumps(asdict(growth), indent=2) + "\n")
    write_atomically(folder / CURRICULUM, json.dumps(asdict(curriculum), indent=2) + "\n")


def write_losses(folder: Path, losses: LossHistory) -> None:
    """Writes the losses that the run's trigger reads, if it reads any."""
    if losses.series:
        write_atomically(folder / LOSSES, json.dumps(asdict(losses), indent=2) + "\n")


def _read(path: Path) -> dict[str, Any]:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"the checkpoint {path.parent} has no readable {path.name}: {error}") from error


def _read_as(path: Path, make: Callable[[dict[str, Any]], Any]) -> Any:
    """The record that `make` makes of a file's content.

    Raises:
        UserError: the file cannot be read, or something in it is missing, unknown or of a wrong type.
    """
    content = _read(path)
    try:
        return make(content)
    except (UserError, KeyError, TypeError, AttributeError) as error:
        fault = error if isinstance(error, UserError) else f"{path}: {type(error).__name__}: {error}"
        raise UserError(
            f"{fault}. The record is damaged: restore the file, or go on from another checkpoint"
        ) from error


def read_growth(folder: Path) -> GrowthRecord:
    path = folder / GROWTH
    return _read_as(path, lambda content: build(content, GrowthRecord, "", str(path)))


def read_curriculum(folder: Path) -> CurriculumRecord:
    path = folder / CURRICULUM
    return _read_as(path, lambda content: build(content, CurriculumRecord, "", str(path)))


def read_losses(folder: Path, empty: LossHistory) -> LossHistory:
    """The losses that a checkpoint recorded for the run's trigger.

    Args:
        empty: the history of such a run before it starts.

    Raises:
        UserError: there is no such record, or it is of another trigger.
    """
    if not empty.series:
        return empty
    losses = _read_as(folder / LOSSES, LossHistory.from_record)
    if not losses.fits(empty):
        raise UserError(f"the checkpoint {folder} recorded in {LOSSES} other losses than growth.trigger reads")
    return losses


def stored_steps(checkpoints_folder: Path) -> list[int]:
    """Steps of the checkpoints in a folder, in order; each is whole, since it got its name when it was."""
    if not checkpoints_folder.is_dir():
        return []
    return sorted(int(path.name) for path in checkpoints_folder.iterdir() if path.name.isdecimal() and path.is_dir())


def latest_checkpoint(checkpoints_folder: Path) -> Path | None:
    """The newest whole checkpoint of a run, or None; without the file that names it, the one of the highest step."""
    try:
        step = int((checkpoints_folder / LATEST).read_text())
    except FileNotFoundError:
        steps = stored_steps(checkpoints_folder)
        return checkpoints_folder / str(steps[-1]) if steps else None
    except ValueError as error:
        raise UserError(f"{checkpoints_folder / LATEST} holds no step number; write the newest step into it") from error
    folder = checkpoints_folder / str(step)
    if not folder.is_dir():
        raise UserError(f"{checkpoints_folder / LATEST} names the checkpoint {folder}, which is not there")
    return folder


def partial_folder(checkpoints_folder: Path) -> Path:
    """Where a checkpoint is written before it gets its name."""
    return checkpoints_folder / PARTIAL


def clear_partial(checkpoints_folder: Path) -> None:
    """Removes what a process left that died while it wrote a checkpoint."""
    shutil.rmtree(partial_folder(checkpoints_folder), ignore_errors=True)


def publish(checkpoints_folder: Path, step: int, keep_last: int | None = None, kept: Container[int] = ()) -> Path:
    """Gives the finished checkpoint its name, then makes it the latest; until then the one before stays so.

    Args:
        keep_last: how many of the newest checkpoints stay; None: all.
        kept: steps of checkpoints that always stay.
    """
    folder = checkpoints_folder / str(step)
    if folder.exists():
        shutil.rmtree(folder)
    os.replace(partial_folder(checkpoints_folder) / str(step), folder)
    write_atomically(checkpoints_folder / LATEST, f"{step}")
    if keep_last is not None:
        for old in [other for other in stored_steps(checkpoints_folder) if other <= step][:-keep_last]:
            if old not in kept:  # removed with what is not whole, so that half of a checkpoint never has its name
                os.replace(checkpoints_folder / str(old), partial_folder(checkpoints_folder) / str(old))
    shutil.rmtree(partial_folder(checkpoints_folder))
    return folder
