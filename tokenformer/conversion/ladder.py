"""Exports of a run by the words it had seen: the revisions that the BabyLM pipelines ask for.

OUT/chck_1M, OUT/chck_2M, .., and OUT/main, the newest checkpoint; each is a whole export, of the size that the model
had at that time. The pipelines ask the Hub for revisions of these names; docs/export.md has the command that uploads
them.
"""

from dataclasses import dataclass
from pathlib import Path

from tokenformer.conversion.export import write_export
from tokenformer.conversion.training_facts import TrainingFacts, checkpoints_folder, words_seen
from tokenformer.conversion.verification import check_transformers
from tokenformer.curriculum.budget import ladder_rungs
from tokenformer.errors import UserError
from tokenformer.files import folder_built_beside, refuse_to_replace
from tokenformer.run_folder.record import RunRecord
from tokenformer.trainer.checkpoint.records import latest_checkpoint
from tokenformer.trainer.checkpoint.stored import StoredCheckpoint

MILLION = 1_000_000
BABYLM_WORDS = tuple(ladder_rungs(1000 * MILLION))
TOLERANCE = 0.05  # how far the words seen may be from those that the name of a revision says, as a share of them


@dataclass(frozen=True)
class Rung:
    """A revision and the checkpoint that it is made of."""

    name: str
    checkpoint: Path
    words: float | None


def revision_name(words: int) -> str:
    return f"chck_{words / MILLION:g}M"


def _checkpoints(run: RunRecord) -> dict[Path, float]:
    """Every checkpoint whose words are known, in order."""
    folders = [path for path in checkpoints_folder(run).glob("*") if path.name.isdigit()]
    counted = {path: words_seen(path, run) for path in sorted(folders, key=lambda path: int(path.name))}
    return {path: words for path, words in counted.items() if words}


def rungs(run: RunRecord, words: tuple[int, ...]) -> tuple[list[Rung], list[str]]:
    """The nearest checkpoint to each number of words, and what is said of those that none is near enough to.

    Numbers beyond the end of the run are left out.

    Raises:
        UserError: there is none at all.
    """
    checkpoints = _checkpoints(run)
    if not checkpoints:
        raise UserError(f"{checkpoints_folder(run)} holds no checkpoint after whose step the words seen are known")
    found, missing = [], []
    for target in words:
        if target > max(checkpoints.values()) * (1 + TOLERANCE):
            break
        nearest = min(checkpoints, key=lambda path: abs(checkpoints[path] - target))
        if abs(checkpoints[nearest] - target) <= TOLERANCE * target:
            found.append(Rung(revision_name(target), nearest, checkpoints[nearest]))
        else:
            missing.append(
                f"{revision_name(target)} is missing: the nearest checkpoint, of step {nearest.name}, has seen "
                f"{checkpoints[nearest]:,.0f} words; train with checkpoints.babylm_ladder: true"
            )
    return found, missing


def export_ladder(
    run: Path,
    output: Path,
    tokenizer: Path | None = None,
    is_verified: bool = True,
    words: tuple[int, ...] = BABYLM_WORDS,
) -> list[str]:
    """Exports every revision of a run, into a folder of its name, and the newest checkpoint as `main`.

    Args:
        run: RUNS/NAME.
        output: folder of the folders, which must not exist. It is whole, or not there.
        tokenizer: as for `export.export_checkpoint`.
        is_verified: as for `export.export_checkpoint`.
        words: words seen of the revisions, rising.

    Returns:
        A line for each revision, missing ones too.

    Raises:
        UserError: as `export.export_checkpoint`, or no checkpoint's words are known.
    """
    refuse_to_replace(output)
    if is_verified:
        check_transformers()
    record = RunRecord.open(run)
    found, missing = rungs(record, words)
    newest = latest_checkpoint(checkpoints_folder(record))
    if newest is not None:
        found.append(Rung("main", newest, words_seen(newest, record)))
    lines = []
    with folder_built_beside(output) as folder:
        for rung in found:
            facts = TrainingFacts.of(StoredCheckpoint(rung.checkpoint), record)
            (folder / rung.name).mkdir()
            source = tokenizer or facts.tokenizer()
            name = f"{record.name}, {rung.name}"
            lines.append(f"{rung.name}: {write_export(facts, folder / rung.name, name, source, is_verified)}")
    return [*lines, *missing, f"written to {output}"]
