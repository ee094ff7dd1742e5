"""The metrics of a run: one JSON object a line."""

import json
import os
from pathlib import Path
from typing import Any

from tokenformer.files import write_atomically

METRICS = "metrics.jsonl"


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """All whole lines; a half-written last one, which a killed process leaves, is left out."""
    if not path.exists():
        return []
    lines = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            lines.append(json.loads(line))
        except ValueError:
            break
    return lines


class MetricsFile:
    """Appends lines; when a run resumes after step `step`, first drops what was written beyond it."""

    def __init__(self, folder: Path, step: int):
        self.path = folder / METRICS
        kept = [
            line for line in read_metrics(self.path) if line["iteration_step"] <= step and not _is_later(line, step)
        ]
        write_atomically(self.path, "".join(json.dumps(line) + "\n" for line in kept))
        self.elapsed_seconds = max((line.get("elapsed_seconds", 0.0) for line in kept), default=0.0)
        self._file = open(self.path, "a", encoding="utf-8")  # noqa: SIM115 (closed by close)

    def write(self, line: dict[str, Any]) -> None:
        self._file.write(json.dumps(line) + "\n")
        self._file.flush()

    def close(self) -> None:
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()


def _is_later(line: dict[str, Any], step: int) -> bool:
    """Growth after step k is done when step k + 1 begins, so its lines come after the checkpoint of step k."""
    belongs_to_growth = "growth/event" in line or "growth/stage_ends" in line
    return line["iteration_step"] > step or (belongs_to_growth and line["iteration_step"] == step)
