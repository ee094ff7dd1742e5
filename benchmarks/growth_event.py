"""Time and memory of a growth event, against a training step and a checkpoint.

    python -m benchmarks.growth_event [--sizes 128 256 512] [--threads 2] [--repetitions 3]

Every measurement is a run of its own, in a process of its own: it trains, grows to twice the parameter tokens, trains
on, saves, and loads what it saved. The event includes the held-batch loss before and after it, but not the held-out
loss at the end of a stage, which is what any validation costs. The medians of the repetitions are printed.

Memory is the peak of the process' resident set while something lasts, less what it had before there was a model; it is
read from Linux' /proc. As in training on a CPU, `tokenformer.freed_memory` keeps what is freed: the steady
state counts what an event left behind. With MALLOC_MMAP_THRESHOLD_=131072 in the environment memory goes back to the
system, and the steady state is what steps need by themselves.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml

from benchmarks.train_step import BATCH, LENGTH, model_blocks, write_corpus

EVENT_AFTER, STEPS = 4, 10
TIMES, SIZES = ("step ms", "event ms", "in steps", "save+load ms", "of it"), ("steady MB", "peak MB", "ratio")
COLUMNS = ("hidden", "parameters", *TIMES, *SIZES)


def run_config(folder: Path, hidden: int) -> Path:
    """A run that doubles its tokens after EVENT_AFTER steps."""
    config = {
        "general": {"run": "run", "runs_folder": str(folder)},
        "model": {"model_config": model_blocks(hidden)["tokenformer"]},
        "checkpoints": {"checkpoint_interval": STEPS - 1},
        "tokens": {"sequence_length": LENGTH, "micro_batch_size": BATCH, "train_steps": STEPS},
        "optimizer": {"learning_rate_scheduler": {"learning_rate": 1e-3}},
        "data_stages": [{"name": "text", "data": {"dataset": {"dataset_folder": str(folder.parent / "corpus")}}}],
        "growth": {
            "trigger": {"name": "schedule", "steps": [EVENT_AFTER]},
            "operators": {"tokenformer": {"name": "append_tokens", "factor": 2}},
        },
    }
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(config), encoding="utf-8")
    return path


def resident_peak() -> int:
    """Bytes: the most that this process had resident since the last call."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    kilobytes = next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM"))
    Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")
    return 1024 * int(kilobytes)


class Watched:
    """A function, with the seconds and the peak of memory of each of its calls."""

    def __init__(self, function):
        self.function, self.seconds, self.peaks = function, [], []

    def __call__(self, *arguments, **options):
        resident_peak()
        start = time.perf_counter()
        result = self.function(*arguments, **options)
        self.seconds.append(time.perf_counter() - start)
        self.peaks.append(resident_peak())
        return result


def measure(config: Path) -> dict:
    """Trains the run in this process."""
    from tokenformer.trainer.bridge.bootstrap import bootstrap

    bootstrap()
    from nanotron.trainer import DistributedTrainer

    from tokenformer.freed_memory import keep_freed_memory
    from tokenformer.trainer.bridge.cpu_host import ensure_process_group
    from tokenformer.trainer.loop.observers.growing import Growing
    from tokenformer.trainer.loop.trainer import TokenformerTrainer, write_run_files
    from tokenformer.trainer.run.prepared_run import PreparedRun
    from tokenformer.trainer.run.start import starting_point

    keep_freed_memory()
    ensure_process_group()
    run = PreparedRun.from_file(config)
    Growing._measure_end_of_stage = lambda *arguments: None
    step = Watched(DistributedTrainer.training_step)
    DistributedTrainer.training_step = lambda *arguments, **options: step(*arguments, **options)
    resident_peak()
    base = resident_peak()
    start = starting_point(run)
    write_run_files(run, start.resolved_config)
    trainer = TokenformerTrainer(run, start)
    growing = next(observer for observer in trainer.observers if isinstance(observer, Growing))
    growing.before_step = event = Watched(growing.before_step)
    trainer.save_checkpoint = save = Watched(trainer.save_checkpoint)
    trainer.fit()
    parameters = trainer.size.parameters
    del trainer
    load = Watched(lambda: TokenformerTrainer(run, starting_point(run)))
    load()
    after = slice(EVENT_AFTER + 1, None)  # the first step of the grown model warms up
    return {
        "parameters": parameters,
        "step ms": 1000 * statistics.median(step.seconds[after]),
        "event ms": 1000 * event.seconds[EVENT_AFTER],
        "save+load ms": 1000 * (save.seconds[0] + load.seconds[0]),
        "steady MB": (max(step.peaks[after]) - base) / 1e6,
        "peak MB": (event.peaks[EVENT_AFTER] - base) / 1e6,
    }


def median_of_runs(folder: Path, hidden: int, threads: int, repetitions: int) -> dict:
    found = []
    for _ in range(repetitions):
        with tempfile.TemporaryDirectory(dir=folder) as name:
            config, result = run_config(Path(name), hidden), Path(name) / "result.json"
            command = [sys.executable, "-m", "benchmarks.growth_event", "--run", str(config), "--result", str(result)]
            environment = os.environ | {"OMP_NUM_THREADS": str(threads)}
            ended = subprocess.run(command, env=environment, capture_output=True, text=True)
            if ended.returncode:
                sys.exit(ended.stderr)
            found.append(json.loads(result.read_text(encoding="utf-8")))
    return {key: statistics.median(each[key] for each in found) for key in found[0]}


def print_row(hidden: int, found: dict) -> None:
    event, step, checkpoint = found["event ms"], found["step ms"], found["save+load ms"]
    row = [f"{hidden}", f"{found['parameters']:,.0f}", f"{step:,.0f}", f"{event:,.0f}", f"{event / step:.2f}"]
    row += [f"{checkpoint:,.0f}", f"{event / checkpoint:.2f}", f"{found['steady MB']:,.0f}", f"{found['peak MB']:,.0f}"]
    row.append(f"{found['peak MB'] / found['steady MB']:.2f}")
    print("".join(f"{cell:>13}" for cell in row), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", nargs="+", type=int, default=[128, 256, 512], help="hidden sizes")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--run", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--result", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.run:
        arguments.result.write_text(json.dumps(measure(arguments.run)), encoding="utf-8")
        return
    print(f"{BATCH * LENGTH} tokens a step, {arguments.threads} threads; `parameters` are those of the grown model")
    print("".join(f"{column:>13}" for column in COLUMNS))
    with tempfile.TemporaryDirectory() as name:
        write_corpus(Path(name))
        for hidden in arguments.sizes:
            print_row(hidden, median_of_runs(Path(name), hidden, arguments.threads, arguments.repetitions))


if __name__ == "__main__":
    main()
