"""One run of a grid, from its settings to its record: trained and measured by processes of their own."""

import fcntl
import json
import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from tokenformer.config.loading import apply_assignment, read_extended
from tokenformer.experiments.matching import assignment
from tokenformer.experiments.records import made_record, record_file, write_record
from tokenformer.experiments.runs import GridRun, RunList
from tokenformer.files import write_atomically
from tokenformer.run_folder.names import CHECKPOINTS as CHECKPOINTS_FOLDER
from tokenformer.run_folder.record import RunRecord

CHECKPOINTS = 5
"""Checkpoints of a run, so that little is lost when it is cut off."""

LOG_TAIL = 12


class RunFailed(Exception):
    """A run ended with an error; the message holds the end of its log."""


class RunBusy(Exception):
    """Another process is making the run."""


@dataclass
class Maker:
    """Makes runs.

    Args:
        threads: of each process.
        nice: how far its priority is lowered; 0 leaves it.
        keep_weights: whether finished runs keep their checkpoints.
    """

    runs: RunList
    threads: int = 1
    nice: int = 0
    keep_weights: bool = False
    _processes: set[subprocess.Popen] = field(default_factory=set)
    _stopped: bool = False

    def make(self, run: GridRun, settings: list[str]) -> None:
        """Trains, measures and records a run, or what is left of that.

        Args:
            settings: of the run, by `RunList.settings`.

        Raises:
            RunBusy: another process makes it.
            RunFailed: training or measuring ended with an error.
            UserError: what training wrote cannot be read.
        """
        folder = self.runs.places.runs / run.name
        folder.mkdir(parents=True, exist_ok=True)
        with _held(folder / "lock") as lock:
            if record_file(self.runs.places.records, run.name).is_file():
                return
            config = self._write_config(run, settings)
            started = time.monotonic()
            self._finish([sys.executable, "-m", "tokenformer", "train", str(config)], folder, lock, run)
            trained = RunRecord.open(folder)
            measured_file = folder / "measured.json"
            self._finish(self._measuring(folder, measured_file), folder, lock, run)
            measured = json.loads(measured_file.read_text(encoding="utf-8"))
            measured["seconds_here"] = time.monotonic() - started
            content = self.runs.grid.content
            described = self._description(run, settings)
            record = made_record(trained, content.outcome, content.sources, described, measured)
            write_record(record_file(self.runs.places.records, run.name), record)
            if not self.keep_weights:
                shutil.rmtree(folder / CHECKPOINTS_FOLDER, ignore_errors=True)

    def stop(self) -> None:
        """Ends the processes of all runs that are being made."""
        self._stopped = True
        for process in list(self._processes):
            process.terminate()

    def _write_config(self, run: GridRun, settings: list[str]) -> Path:
        """The run's own YAML, complete, beside its folder's other files."""
        content = read_extended(self.runs.grid.base)
        for setting in [*settings, *self._places(run, settings)]:
            apply_assignment(content, setting)
        steps = content["tokens"]["train_steps"]
        content["checkpoints"]["checkpoint_interval"] = max(1, -(-steps // CHECKPOINTS))
        path = self.runs.places.runs / run.name / "run.yaml"
        write_atomically(path, yaml.safe_dump(content, sort_keys=False, allow_unicode=True))
        return path

    def _places(self, run: GridRun, settings: list[str]) -> list[str]:
        """Where things lie on this machine, which is no part of a record."""
        folder, corpus = str(self.runs.places.runs), self.runs.matching.corpus_setting(settings)
        return [assignment("general.runs_folder", folder), assignment("general.run", run.name), corpus]

    def _description(self, run: GridRun, settings: list[str]) -> dict:
        grid = self.runs.grid
        arguments = " ".join(f"--set {shlex.quote(setting)}" for setting in settings)
        return {
            "grid": {"name": grid.name, "hash": grid.hash},
            "arm": run.arm,
            "seed": run.seed,
            "trial": run.trial,
            "settings": settings,
            "command": f"tokenformer train {grid.shown_base} {arguments} --set general.run={run.name}",
        }

    def _measuring(self, folder: Path, output: Path) -> list[str]:
        benchmarks = self.runs.grid.content.benchmarks
        command = [sys.executable, "-m", "tokenformer.experiments.outcomes", str(folder), str(output)]
        if benchmarks is not None:
            command += ["--tasks", *benchmarks.tasks, *(["--data", benchmarks.data] if benchmarks.data else [])]
            command += [] if benchmarks.fast else ["--all"]
        return command

    def _finish(self, command: list[str], folder: Path, lock: int, run: GridRun) -> None:
        """Runs a command to its end, its output in the run's log."""
        environment = {**os.environ, "OMP_NUM_THREADS": str(self.threads), "TOKENIZERS_PARALLELISM": "false"}
        lowered = ["nice", "-n", str(self.nice)] if self.nice else []
        log = folder / "log.txt"
        with log.open("ab") as output:
            if self._stopped:
                raise RunFailed(f"{run.label} was stopped")
            # The lock goes along: it is held as long as a process of the run lives, even when this one is killed.
            process = subprocess.Popen(
                [*lowered, *command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=environment,
                pass_fds=[lock],
            )
            self._processes.add(process)
            try:
                status = process.wait()
            finally:
                self._processes.discard(process)
        if status != 0:
            lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
            last = "\n".join(lines[-LOG_TAIL:])
            raise RunFailed(f"{run.label} ended with status {status}; the end of {log}:\n{last}")


@contextmanager
def _held(path: Path) -> Iterator[int]:
    """Holds a file's lock and gives its descriptor; raises RunBusy where another process holds it."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RunBusy(str(path)) from None
        yield descriptor
    finally:
        os.close(descriptor)
