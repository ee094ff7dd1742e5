"""The config with which a run has begun."""

from pathlib import Path

from tokenformer.config.loading import load_config
from tokenformer.config.sections import RunConfig
from tokenformer.run_folder import keys
from tokenformer.run_folder.metrics import read_metrics
from tokenformer.run_folder.names import CONFIG, METRICS, RUN_CONFIG


def earlier_config(run_folder: Path, checkpoint: Path | None) -> RunConfig | None:
    """The config with which the newest checkpoint was written, or else the run's first steps were done, if any were.

    A checkpoint that was written before it held its run's config belongs to the run in whose folder it is sought.

    Args:
        checkpoint: the run's newest one.
    """
    if checkpoint is not None and (checkpoint / RUN_CONFIG).exists():
        return load_config(checkpoint / RUN_CONFIG)
    has_begun = checkpoint is not None or any(line[keys.STEP] > 0 for line in read_metrics(run_folder / METRICS))
    path = run_folder / CONFIG
    return load_config(path) if has_begun and path.exists() else None
