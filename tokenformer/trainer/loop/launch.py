"""Trains the run of a config file, in this process."""

import sys
import warnings
from collections.abc import Sequence
from pathlib import Path

from tokenformer.devices import process_rank
from tokenformer.errors import UserError
from tokenformer.kernels import SHARDING, choose_backend
from tokenformer.trainer.bridge.bootstrap import bootstrap
from tokenformer.trainer.bridge.cpu_host import ensure_process_group
from tokenformer.trainer.run.checks import check_launch
from tokenformer.trainer.run.plan_notes import growth_notes
from tokenformer.trainer.run.prepared_run import PreparedRun
from tokenformer.trainer.run.start import starting_point


def _say(message: str) -> None:
    if process_rank() == 0:
        print(message, file=sys.stderr, flush=True)


def _chosen_kernel(run: PreparedRun, device: str) -> str | None:
    """The kernel that computes the run's Pattention; None for a model that has none."""
    if run.config.model_type != "tokenformer":
        return None
    name, ranks = run.model_configs[0].kernel, run.config.parallelism.tp
    try:
        kernel = choose_backend(name, device)
    except ValueError as error:
        raise UserError(f"model.model_config.kernel: {error}") from None
    if ranks > 1 and kernel not in SHARDING:
        raise UserError(
            f"model.model_config.kernel {name} does not shard parameter tokens over parallelism.tp {ranks}; choose "
            f"auto, {', '.join(SHARDING)}"
        )
    return kernel


def train_from_file(path: Path, assignments: Sequence[str] = ()) -> None:
    """Starts or continues the run of a config, to its last step.

    Raises:
        UserError: whatever is wrong with the config, the corpus, the launch or the run's folder, before work starts.
    """
    # Deprecations of torch that only Nanotron could heed.
    warnings.filterwarnings("ignore", category=FutureWarning)
    device = bootstrap().device
    run = PreparedRun.from_file(path, assignments)
    check_launch(run.config)
    kernel = _chosen_kernel(run, device)
    start = starting_point(run)
    folder, steps = run.config.run_folder, run.config.steps
    if start.step >= steps:
        _say(f"{folder} is finished: it has all {steps} steps. See it with: tokenformer report {folder}")
        return
    evaluation = run.config.evaluation
    if evaluation is not None and run.scoring is not None:  # read now: what is missing is known before work starts
        names = ", ".join(evaluation.tasks)
        _say(f"while it trains, {len(run.scoring.requests):,} texts of {names} are scored")
    ensure_process_group()
    from tokenformer.trainer.loop.trainer import train

    _say(f"{folder}: {'starts' if start.checkpoint is None else f'goes on after step {start.step} of {steps}'}")
    for note in growth_notes(run, run.growth, run.stages()) if run.growth else ():
        _say(note)
    if kernel is not None:
        _say(f"kernel {kernel} on {device}")
    train(run, start)
