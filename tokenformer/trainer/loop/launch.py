"""Trains the run of a config file, in this process."""

import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tokenformer.config.sections import RunConfig
from tokenformer.devices import process_rank
from tokenformer.errors import UserError
from tokenformer.files import clear_temporary
from tokenformer.kernels import SHARDING, choose_backend
from tokenformer.locks import held
from tokenformer.run_folder.names import CHECKPOINTS, LOCK
from tokenformer.trainer.bridge.bootstrap import bootstrap
from tokenformer.trainer.bridge.cpu_host import ensure_process_group
from tokenformer.trainer.checkpoint.records import latest_checkpoint
from tokenformer.trainer.loop.launcher import ending_with_launcher
from tokenformer.trainer.run.checks import check_launch
from tokenformer.trainer.run.plan_notes import growth_notes
from tokenformer.trainer.run.prepared_run import PreparedRun
from tokenformer.trainer.run.start import StartingPoint, starting_point
from tokenformer.trainer.run.written_size import written_sentence


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


def train_from_file(path: Path, assignments: Sequence[str] = (), from_step: int | None = None) -> None:
    """Starts or continues the run of a config, to its last step.

    Args:
        from_step: goes on after the checkpoint of this step; None: after the newest.

    Raises:
        UserError: whatever is wrong with the config, the corpus, the launch or the run's folder, before work starts.
    """
    # Deprecations of torch that only Nanotron could heed.
    warnings.filterwarnings("ignore", category=FutureWarning)
    device = bootstrap().device
    run = PreparedRun.from_file(path, assignments)
    check_launch(run.config)
    kernel = _chosen_kernel(run, device)
    newest = latest_checkpoint(run.config.checkpoints_folder)
    start = starting_point(run, from_step)
    folder, steps = run.config.run_folder, run.config.steps
    if start.step >= steps:
        _say(f"{folder} is finished: it has all {steps} steps. See it with: tokenformer report {folder}")
        return
    evaluation = run.config.evaluation
    if evaluation is not None and run.scoring is not None:  # read now: what is missing is known before work starts
        names = ", ".join(evaluation.tasks)
        _say(f"while it trains, {len(run.scoring.requests):,} texts of {names} are scored")
    written = written_sentence(run, start.step)
    with _locked(run.config), ending_with_launcher():
        if latest_checkpoint(run.config.checkpoints_folder) != newest:
            raise UserError(f"another process trained {folder} in this moment: start again, to go on after its steps")
        _train(run, start, kernel, device, written)


@contextmanager
def _locked(config: RunConfig) -> Iterator[None]:
    """Holds the lock of the run, and that of its checkpoints where they lie elsewhere; the first process does so."""
    folders = [config.run_folder]
    if config.checkpoints_folder.resolve() != config.run_folder.resolve() / CHECKPOINTS:
        folders.append(config.checkpoints_folder)
    with ExitStack() as locks:
        for folder in folders if process_rank() == 0 else ():
            locks.enter_context(held(folder / LOCK, f"the run {config.run_folder}"))
        for folder in (config.run_folder, config.checkpoints_folder) if process_rank() == 0 else ():
            clear_temporary(folder)
        yield


def _train(run: PreparedRun, start: StartingPoint, kernel: str | None, device: str, written: str) -> None:
    folder, steps = run.config.run_folder, run.config.steps
    ensure_process_group()
    from tokenformer.trainer.loop.trainer import train

    _say(f"{folder}: {'starts' if start.checkpoint is None else f'goes on after step {start.step} of {steps}'}")
    for note in growth_notes(run, run.growth, run.stages()) if run.growth else ():
        _say(note)
    _say(written)
    if kernel is not None:
        _say(f"kernel {kernel} on {device}")
    train(run, start)
