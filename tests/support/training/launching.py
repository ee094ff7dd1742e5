"""Starts training as a user does: `python -m tokenformer train`, as one process, as ranks, or under torchrun."""

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.free_ports import free_port
from tests.support.places import REPOSITORY

LAUNCH_VARIABLES = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
SECONDS_ALLOWED = 120


def clean_environment(**extra: str) -> dict[str, str]:
    """This process' environment without what belongs to a process group of its own; one thread."""
    inherited = {key: value for key, value in os.environ.items() if key not in LAUNCH_VARIABLES}
    return {**inherited, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(REPOSITORY), **extra}


def train_arguments(config: Path, settings: tuple[str, ...]) -> list[str]:
    """The arguments of the command line, with "key=value" settings."""
    return ["train", str(config), *(part for setting in settings for part in ("--set", setting))]


def run_python(arguments: list[str], environment: dict[str, str] | None = None) -> subprocess.CompletedProcess:
    """A finished Python process with its output as text."""
    return subprocess.run(
        [sys.executable, *arguments],
        env=environment or clean_environment(),
        capture_output=True,
        text=True,
        timeout=SECONDS_ALLOWED,
    )


@dataclass
class Training:
    """The processes of one run, whose output goes to a file each."""

    processes: list[subprocess.Popen] = field(default_factory=list)
    outputs: list[Path] = field(default_factory=list)

    def start(self, program: list[str], environment: dict[str, str]) -> None:
        number, path = tempfile.mkstemp(prefix="training-", suffix=".txt")
        self.outputs.append(Path(path))
        with os.fdopen(number, "wb") as output:
            self.processes.append(subprocess.Popen(program, env=environment, stdout=output, stderr=output))

    @property
    def is_running(self) -> bool:
        return any(process.poll() is None for process in self.processes)

    def output(self) -> str:
        """What each process printed, one after the other."""
        texts = [path.read_text(encoding="utf-8", errors="replace")[-4000:] for path in self.outputs]
        return "\n".join(f"--- process {number}\n{text}" for number, text in enumerate(texts))

    def end(self) -> None:
        """Kills what still runs, and removes the output files."""
        for process in self.processes:
            process.kill()
            process.wait()
        for path in self.outputs:
            path.unlink()

    def expect_success(self, seconds: float = SECONDS_ALLOWED) -> str:
        """Waits for the end and returns the output; fails with it unless every process ended with status 0."""
        try:
            for process in self.processes:
                process.wait(seconds)
            statuses = [process.returncode for process in self.processes]
            assert statuses == [0] * len(statuses), f"exit statuses {statuses}\n{self.output()}"
            return self.output()
        except subprocess.TimeoutExpired:
            self.ask_to_end()
            raise AssertionError(f"not finished after {seconds} s\n{self.output()}") from None
        finally:
            self.end()

    def ask_to_end(self) -> None:
        """SIGTERM, which torchrun hands on to its workers."""
        for process in self.processes:
            process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            for process in self.processes:
                process.wait(10)

    def stop_when(self, condition: Callable[[], bool]) -> None:
        """Stops every process, with SIGSTOP, at a moment at which the condition holds."""
        deadline = time.monotonic() + SECONDS_ALLOWED
        try:
            while True:
                self.stop()
                assert self.is_running, f"the run ended before the moment came\n{self.output()}"
                assert time.monotonic() < deadline, f"the moment did not come\n{self.output()}"
                if condition():
                    return
                self.go_on()
                time.sleep(0.001)
        except BaseException:
            self.end()
            raise

    def stop(self) -> None:
        for process in self.processes:
            if process.poll() is None:
                process.send_signal(signal.SIGSTOP)
                os.waitpid(process.pid, os.WUNTRACED)

    def go_on(self) -> None:
        for process in self.processes:
            process.send_signal(signal.SIGCONT)


def start_training(
    config: Path, *settings: str, ranks: int = 1, program: tuple[str, ...] = ("-m", "tokenformer")
) -> Training:
    """Starts one process, or the ranks of one process group with the variables that torchrun would give them.

    Args:
        settings: "key=value" each, for `--set`.
        program: what Python runs, with the arguments of the command line.
    """
    training, port = Training(), free_port()
    for rank in range(ranks):
        group = {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(ranks)}
        address = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
        environment = clean_environment(**group, **address) if ranks > 1 else clean_environment()
        training.start([sys.executable, *program, *train_arguments(config, settings)], environment)
    return training


def start_torchrun(config: Path, *settings: str, ranks: int) -> Training:
    """Starts `torchrun --nproc-per-node N -m tokenformer train`, which takes a free port by itself."""
    training = Training()
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(ranks), "-m", "tokenformer"]
    training.start([sys.executable, *torchrun, *train_arguments(config, settings)], clean_environment())
    return training
