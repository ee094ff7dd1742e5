"""The record of a finished run: a small JSON object on one line, with all that the statistics and the page need.

`outcome` is the held-out loss that the grid compares. `validations` and `growth` follow the run's metrics; `documents`
holds the summed loss of every held-out document under the final weights, in the order of the corpus; a benchmark's
`items` is a character for each item: 1 right, 0 wrong, t a tie.
"""

import json
import platform
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import tokenformer
from tokenformer.errors import UserError
from tokenformer.files import write_atomically
from tokenformer.run_folder import keys
from tokenformer.run_folder.record import HeldOut, RunRecord

Record = dict[str, Any]

FORMAT = "tokenformer comparison record"
VERSION = 1
TRAINING_POINTS = 60


def record_file(folder: Path, name: str) -> Path:
    return folder / f"{name}.jsonl"


def read_record(path: Path) -> Record:
    """Raises UserError for a file that is no record."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        is_ours = record["format"] == FORMAT and record["version"] == VERSION
    except (ValueError, KeyError, TypeError):
        is_ours = False
    if not is_ours:
        raise UserError(f"{path} is not a record of this version of tokenformer: move it away, and make the run again")
    return record


def final_records(folder: Path) -> list[Record]:
    """The records of final runs in a folder such as experiments/results/NAME/records, if they are decayed.

    Raises:
        UserError: there are none.
    """
    records = [read_record(path) for path in sorted(Path(folder).glob("*.jsonl"))]
    found = [record for record in records if record["trial"] is None]
    if not found:
        raise UserError(f"{folder} has no record of a finished run: make some with tokenformer compare")
    return found


def write_record(path: Path, record: Record) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, json.dumps(record, ensure_ascii=False, separators=(",", ":")) + "\n")


def made_record(
    run: RunRecord, outcome: str, sources: Sequence[str] | None, described: Record, measured: Record
) -> Record:
    """The record of a run that reached its last step.

    Args:
        outcome, sources: what is compared, see `grid.GridContent`.
        described: what the grid says of the run.
        measured: what `outcomes.measured_outcomes` found.
    """
    last = run.steps[-1]
    return {
        "format": FORMAT,
        "version": VERSION,
        **described,
        **run_facts(run),
        "outcome": outcome_of(run.validations[-1], outcome, sources),
        "clipped_share": _clipped_share(run),
        "seconds": last.get(keys.SECONDS),
        **measured,
        "made_with": {"tokenformer": tokenformer.__version__, "machine": platform.platform()},
    }


def run_facts(run: RunRecord) -> Record:
    """Size, cost and losses of a run, as its own files say."""
    last = run.steps[-1]
    return {
        "steps": last[keys.STEP],
        "words": last.get(keys.WORDS),
        "tokens": last.get(keys.TOKENS),
        "flops": last.get(keys.FLOPS),
        "parameters": last.get(keys.PARAMETERS),
        "final_rate": last.get(keys.LEARNING_RATE),
        "peak_rate": max((line[keys.LEARNING_RATE] for line in run.steps if keys.LEARNING_RATE in line), default=None),
        "growth": [
            {
                "step": event.step,
                "reason": event.reason,
                "operator": event.operator,
                "parameters_before": event.parameters_before,
                "parameters": event.parameters,
                "loss_before": event.loss_before,
                "loss_after": event.loss_after,
            }
            for event in run.growth_events
        ],
        "validations": [_validation(line) for line in run.validations],
        "training": _thinned(run.steps),
    }


def outcome_of(line: Record, outcome: str, sources: Sequence[str] | None = None) -> float:
    """The compared loss in a line of metrics, in nats a token.

    Raises:
        UserError: a source that counts is not in the held-out text.
    """
    if outcome == "loss":
        return line[keys.HELD_OUT_LOSS]
    by_source = _losses_by_source(line)
    chosen = by_source if sources is None else sources
    unknown = [source for source in chosen if source not in by_source]
    if unknown:
        raise UserError(f"sources names {unknown[0]!r}, and the held-out text has {', '.join(by_source)}; correct it")
    return sum(by_source[source] for source in chosen) / len(chosen)


def _validation(line: Record) -> Record:
    return {
        "step": line[keys.STEP],
        "words": line.get(keys.WORDS),
        "flops": line.get(keys.FLOPS),
        "seconds": line.get(keys.SECONDS),
        "loss": round(line[keys.HELD_OUT_LOSS], 6),
        "bits_per_byte": round(line[keys.BITS_PER_BYTE], 6),
        "by_source": {source: round(loss, 6) for source, loss in _losses_by_source(line).items()},
    }


def _losses_by_source(line: Record) -> dict[str, float]:
    """Held-out losses in nats a token."""
    by_level = HeldOut.from_line(line).by_level
    return {level: loss for level, (loss, _) in by_level.items() if loss is not None}


def _thinned(steps: Iterable[Record]) -> list[list[float]]:
    """[step, words, FLOPs, mean training loss] of about TRAINING_POINTS stretches of equal length."""
    lines = [line for line in steps if keys.LOSS in line]
    size = max(1, -(-len(lines) // TRAINING_POINTS))
    points = []
    for start in range(0, len(lines), size):
        part = lines[start : start + size]
        middle = part[len(part) // 2]
        mean = sum(line[keys.LOSS] for line in part) / len(part)
        points.append([middle[keys.STEP], middle[keys.WORDS], middle[keys.FLOPS], round(mean, 5)])
    return points


def _clipped_share(run: RunRecord) -> float | None:
    """Share of the steps whose gradient was clipped; None without clipping."""
    limit = (run.config.get("optimizer") or {}).get("clip_grad")
    norms = [line[keys.GRADIENT_NORM] for line in run.steps if keys.GRADIENT_NORM in line]
    return sum(norm > limit for norm in norms) / len(norms) if limit is not None and norms else None
