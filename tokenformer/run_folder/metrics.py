"""The metrics of a run: one JSON object a line."""

import json
import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tokenformer.files import disk_errors_named, write_atomically
from tokenformer.run_folder import keys
from tokenformer.run_folder.names import METRICS

Line = dict[str, Any]


@dataclass(frozen=True)
class StoredLine:
    """A line of the file.

    Args:
        text: as it stands there, without the line break.
        content: the object, or None for a line that is not a JSON object with a step.
    """

    text: bytes
    content: Line | None


def stored_lines(path: Path) -> list[StoredLine]:
    """Every line of a metrics file but empty ones; none if there is no file."""
    if not path.exists():
        return []
    return [StoredLine(text, _parsed(text)) for text in path.read_bytes().split(b"\n") if text.strip()]


def _parsed(text: bytes) -> Line | None:
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        return None
    is_line = isinstance(content, dict) and type(content.get(keys.STEP)) is int and content[keys.STEP] >= 0
    return content if is_line and all(map(_fits, content, content.values())) else None


def _fits(key: str, value: Any) -> bool:
    """Tells whether a value is of the type of its key; keys that are not ours may hold anything."""
    if key in keys.TEXTS:
        return isinstance(value, str | None)
    if key not in keys.KEYS and not key.startswith(keys.FAMILIES):
        return True
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))


def read_metrics(path: Path) -> list[Line]:
    """The lines that can be read, such as not the half of one that a killed process leaves at the end."""
    return [line.content for line in stored_lines(path) if line.content is not None]


class MetricsFile:
    """Appends lines; when a run resumes after step `step`, first drops what was written beyond it.

    A line in the middle that cannot be read stays where it is.
    """

    def __init__(self, folder: Path, step: int):
        self.path = folder / METRICS
        kept = [line for line in stored_lines(self.path) if line.content is None or _belongs_to(line.content, step)]
        while kept and kept[-1].content is None:
            kept.pop()
        write_atomically(self.path, b"".join(line.text + b"\n" for line in kept))
        seconds = (line.content.get(keys.SECONDS) for line in kept if line.content is not None)
        self.elapsed_seconds = max((value for value in seconds if isinstance(value, int | float)), default=0.0)
        self._file = open(self.path, "a", encoding="utf-8")  # noqa: SIM115 (closed by close)

    def write(self, line: Line) -> None:
        """Appends a line. A number that is not finite becomes null, since JSON has none."""
        with disk_errors_named(self.path):
            self._file.write(json.dumps(_finite(line), allow_nan=False) + "\n")
            self._file.flush()

    def close(self) -> None:
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()


def _finite(line: Line) -> Line:
    return {
        key: None if isinstance(value, float) and not math.isfinite(value) else value for key, value in line.items()
    }


def _belongs_to(line: Line, step: int) -> bool:
    """Tells whether a run that stands after `step` has written the line.

    Growth after step k is done when step k + 1 begins, so its lines come after the checkpoint of step k.
    """
    is_of_growth = keys.EVENT in line or keys.STAGE_ENDS in line
    return line[keys.STEP] < step or (line[keys.STEP] == step and not is_of_growth)
