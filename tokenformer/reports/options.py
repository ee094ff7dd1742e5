"""The options of `score_collection`; quick to import."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class ScoreOptions:
    """How texts are scored."""

    language: str = "auto"
    """Language of the texts: a code or a name, code or formal. "auto" finds it out."""
    measure: str | None = None
    """Complexity measure, see docs/complexity.md. Without it: a prepared corpus's own, else that of `prepare`."""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    """Parameters of the measure, such as the model of `perplexity`."""
    every_measure: bool = False
    """Compute all other measures that need no more than the text, too."""
    processes: int | None = None
    """Processes that score at the same time. Without it: one for each processor."""
    kept: Path | None = None
    """Folder for finished parts of the scores. Without it: one in the user's cache."""
