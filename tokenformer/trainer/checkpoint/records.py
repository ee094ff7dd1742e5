"""Records that our checkpoints add to Nanotron's: `growth.json`, `curriculum.json`; one is whole or not there.

Of a run whose growth depends on losses there is `losses.json` too.
"""

import json
import os
import shutil
from collections.abc import Container
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tokenformer.config.stored_records import read_record
from tokenformer.errors import UserError
from tokenformer.files import sync_folder, write_atomically
from tokenformer.growth.triggers import LossHistory
from tokenformer.growth.triggers.losses import LossPoint
from tokenformer.run_folder.names import CURRICULUM, GROWTH, LATEST, LOSSES, METADATA, PARTIAL

_REMEDY = "restore the file, or go on from another checkpoint"


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
        corpus: fingerprint of the corpus that is read; None in checkpoints that were written before it was recorded.
    """

    plan: str
    samples: int
    complexity: float
    words: float | None = None
    rung: int | None = None
    corpus: str | None = None


@dataclass
class _SeriesRecord:
    """The schema of a `LossSeries`."""

    source: str
    window: int
    capacity: int
    points: list[LossPoint]
    total: float
    count: int


@dataclass
class _LossesRecord:
    """The schema of a `LossHistory`."""

    series: list[_SeriesRecord]


def write_records(folder: Path, growth: GrowthRecord, curriculum: CurriculumRecord) -> None:
    write_atomically(folder / GROWTH, json.dumps(asdict(growth), indent=2) + "\n")
    write_atomically(folder / CURRICULUM, json.dumps(asdict(curriculum), indent=2) + "\n")


def write_losses(folder: Path, losses: LossHistory) -> None:
    """Writes the losses that the run's trigger reads, if it reads any."""
    if losses.series:
        write_atomically(folder / LOSSES, json.dumps(asdict(losses), indent=2) + "\n")


def read_growth(folder: Path) -> GrowthRecord:
    return read_record(folder / GROWTH, GrowthRecord, _REMEDY)


def read_curriculum(folder: Path) -> CurriculumRecord:
    return read_record(folder / CURRICULUM, CurriculumRecord, _REMEDY)


def read_losses(folder: Path, empty: LossHistory) -> LossHistory:
    """The losses that a checkpoint recorded for the run's trigger.

    Args:
        empty: the history of such a run before it starts.

    Raises:
        UserError: there is no such record, or it is of another trigger.
    """
    if not empty.series:
        return empty
    losses = LossHistory.from_record(asdict(read_record(folder / LOSSES, _LossesRecord, _REMEDY)))
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


def refuse_foreign(checkpoints_folder: Path) -> None:
    """Raises UserError for what has the name of a checkpoint, which one would take the place of, and is none."""
    if not checkpoints_folder.is_dir():
        return
    for path in checkpoints_folder.iterdir():
        is_ours = path.is_dir() and not path.is_symlink() and ((path / METADATA).exists() or not any(path.iterdir()))
        if path.name.isdecimal() and not is_ours:
            raise UserError(f"{path} has the name of a checkpoint and is none: move it away, or choose another folder")


def make_latest(folder: Path) -> None:
    """Names a checkpoint the newest of its run, whichever there are."""
    write_atomically(folder.parent / LATEST, folder.name)


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
    folder, partial = checkpoints_folder / str(step), partial_folder(checkpoints_folder)
    sync_folder(partial / str(step))
    if folder.exists():  # removed with what is not whole, so that half of a checkpoint never has its name
        os.replace(folder, partial / f"{step}.replaced")
    os.replace(partial / str(step), folder)
    make_latest(folder)
    if keep_last is not None:
        for old in [other for other in stored_steps(checkpoints_folder) if other <= step][:-keep_last]:
            if old not in kept:
                os.replace(checkpoints_folder / str(old), partial / str(old))
    shutil.rmtree(partial)
    return folder
