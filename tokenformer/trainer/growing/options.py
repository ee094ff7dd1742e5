"""The options of `grow_checkpoint`; quick to import."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class GrowOptions:
    """Which checkpoint grows, and how."""

    source: Path
    """The checkpoint: RUN/checkpoints/STEP, written in any parallel layout."""
    output: Path
    """Folder for the grown checkpoint, which must not exist."""
    operator: str
    """Growth operator, such as append_tokens or hypercloning; docs/growth-reference.md lists all."""
    parameters: Sequence[str] = ()
    """A parameter of the operator, KEY=VALUE."""
    new_moments: str = "keep"
    """Adam's moments of new elements: keep, zero or mean."""
    seed: int | None = None
    """Seed of what is drawn. Without it: that of the checkpoint's run."""
    verify: bool = False
    """Compare the logits of both models, and write nothing when they differ."""
    tolerance: float | None = None
    """Largest difference of logits that passes. Without it: the error of rounding in the dtype of the checkpoint."""
