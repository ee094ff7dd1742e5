"""The options of `compare`; quick to import."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class CompareOptions:
    """Which runs are made and compared, and how."""

    sources: Sequence[Path]
    """A grid's YAML, or the folders of two or more runs."""
    results: Path | None = None
    """Folder for records and page. Without it: results/NAME beside the grid."""
    runs: Path | None = None
    """Folder for the runs. Without it: runs/NAME."""
    jobs: int = 1
    """Runs that are made at the same time."""
    threads: int = 1
    """Threads of each run."""
    nice: int = 0
    """How far the priority of the runs is lowered, up to 19."""
    only: str | None = None
    """Make one run: ARM/SEED, or one tuning trial: ARM/SEED/VALUE."""
    data: Path = Path()
    """Folder that holds the corpora named in the grid. Without it: where the command is started."""
    keep_weights: bool = False
    """Keep the checkpoints of finished runs."""
    report_only: bool = False
    """Train nothing, and answer from the records at hand."""
    forecast: Path | None = None
    """Forecast the losses of the arms before they run, by the records in this folder, and make no run."""
    slurm: bool = False
    """Print a Slurm job array, and make no run."""
