"""All runs of a grid, several at a time: finished ones skipped, failed ones named, with progress and time left."""

import sys
import threading
import time
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field

from tokenformer.errors import UserError
from tokenformer.experiments.making import Maker, RunBusy, RunFailed
from tokenformer.experiments.matching import NotKnownYet
from tokenformer.experiments.runs import GridRun, RunList


@dataclass
class Finished:
    """How it ended: failures and runs that wait for others, each with a reason."""

    made: list[GridRun] = field(default_factory=list)
    failed: dict[GridRun, str] = field(default_factory=dict)
    waiting: dict[GridRun, str] = field(default_factory=dict)


def make_all(runs: RunList, maker: Maker, chosen: list[GridRun], jobs: int) -> Finished:
    """Makes the chosen runs, `jobs` at a time, in their order as far as they do not wait for one another.

    A run that fails does not keep others from being made. Ctrl-C ends the processes; the next call goes on where they
    were.
    """
    finished, progress = Finished(), _Progress(runs, chosen, jobs)
    left = [run for run in chosen if runs.record(run) is None]
    progress.say(f"{len(chosen) - len(left)} of {len(chosen)} runs are finished")
    running: dict[Future, GridRun] = {}
    with ThreadPoolExecutor(jobs) as pool:
        try:
            while left or running:
                waiting = _start(pool, runs, maker, left, running, jobs, finished, progress)
                if not running:
                    finished.waiting = waiting
                    break
                done, _ = wait(running, return_when=FIRST_COMPLETED)
                for future in done:
                    _note(future, running.pop(future), finished, progress)
        except BaseException:
            maker.stop()
            raise
    return finished


def _start(
    pool: ThreadPoolExecutor,
    runs: RunList,
    maker: Maker,
    left: list[GridRun],
    running: dict[Future, GridRun],
    jobs: int,
    finished: Finished,
    progress: "_Progress",
) -> dict[GridRun, str]:
    """Starts runs of `left` that wait for nothing until `jobs` are running; the reasons of those that wait."""
    waiting = {}
    for run in list(left):
        if len(running) >= jobs:
            break
        try:
            settings = runs.settings(run)
        except NotKnownYet as reason:
            waiting[run] = f"waits for {reason}"
            continue
        except UserError as error:
            finished.failed[run] = str(error)
            progress.say(f"{run.label} cannot be made: {error}")
            left.remove(run)
            continue
        left.remove(run)
        running[pool.submit(maker.make, run, settings)] = run
    return waiting


def _note(future: Future, run: GridRun, finished: Finished, progress: "_Progress") -> None:
    try:
        future.result()
    except RunBusy:
        finished.waiting[run] = "is being made by another process"
        progress.say(f"{run.label} is being made by another process")
    except (RunFailed, UserError) as error:
        finished.failed[run] = str(error)
        progress.say(f"{run.label} FAILED: {error}")
    else:
        finished.made.append(run)
        progress.done(run)


class _Progress:
    """A line on standard error for every run that ends, with the time that is left."""

    def __init__(self, runs: RunList, chosen: list[GridRun], jobs: int):
        self.runs, self.chosen, self.jobs = runs, chosen, jobs
        self.started = time.monotonic()
        self._lock = threading.Lock()

    def say(self, text: str) -> None:
        with self._lock:
            print(text, file=sys.stderr, flush=True)

    def done(self, run: GridRun) -> None:
        record = self.runs.record(run)
        outcome = "no record" if record is None else f"{record['outcome']:.4f} nats"
        count = sum(self.runs.record(other) is not None for other in self.chosen)
        self.say(f"{run.label}: {outcome}; {count} of {len(self.chosen)} runs, {self._time_left()}")

    def _time_left(self) -> str:
        records = [record for record in map(self.runs.record, self.chosen) if record is not None]
        seconds = sum(record["seconds_here"] for record in records) / len(records)
        left = (len(self.chosen) - len(records)) * seconds / self.jobs
        return f"about {left / 3600:.1f} h left" if left > 5400 else f"about {left / 60:.0f} min left"


def slurm_script(grid_path: str, runs: list[GridRun], threads: int, arguments: str) -> str:
    """A job array with a task for each run; tasks that wait for others are to be submitted again."""
    labels = "\n".join(f"  {run.label}" for run in runs)
    return f"""#!/bin/bash
#SBATCH --job-name=tokenformer-compare
#SBATCH --array=0-{len(runs) - 1}
#SBATCH --cpus-per-task={threads}
# A run that waits for trials or for a yoked arm ends with status 2: submit the array again, finished runs are skipped.
RUNS=(
{labels}
)
tokenformer compare {grid_path} --only "${{RUNS[$SLURM_ARRAY_TASK_ID]}}" --threads {threads} {arguments}
"""
