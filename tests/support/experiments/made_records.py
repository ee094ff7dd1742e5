"""Records of runs that never were: outcomes with known effects, paired by seed, in the shape of real records."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from tokenformer.experiments.grid import Grid
from tokenformer.experiments.records import FORMAT, VERSION, Record, record_file, write_record
from tokenformer.experiments.runs import GridRun, Places, RunList

LEVEL = 4.2
OF_SEED, OF_RUN = 0.02, 0.006
"""Standard deviations of what the runs of one seed share, and of what is a run's own."""
SOURCES = ("easy", "hard")
DOCUMENTS = 60
STEPS = (1, 300, 600, 900, 1200, 1500)


def made_record(run: GridRun, grid_hash: str, loss: float, generator: np.random.Generator, flops: float) -> Record:
    """One record whose outcome is `loss`."""
    tokens = np.full(DOCUMENTS, 300)
    source = np.arange(DOCUMENTS) % 2
    # Documents differ much, and alike for every run; a run's documents have the run's loss on average.
    own = np.random.default_rng(7).normal(0, 0.3, DOCUMENTS) + generator.normal(0, 0.02, DOCUMENTS)
    for each in (0, 1):
        own[source == each] -= own[source == each].mean()
    by_source = dict.fromkeys(SOURCES, loss)
    grows = run.arm.startswith("G")
    return {
        "format": FORMAT,
        "version": VERSION,
        "grid": {"name": "made", "hash": grid_hash},
        "arm": run.arm,
        "seed": run.seed,
        "trial": run.trial,
        "settings": [],
        "command": f"tokenformer train base.yaml --set general.run={run.name}",
        "steps": STEPS[-1],
        "words": 2.0e6,
        "tokens": 3_000_000,
        "flops": flops,
        "parameters": 2_600_000,
        "final_rate": 1e-5,
        "peak_rate": 4e-3,
        "growth": [
            {
                "step": step,
                "reason": "made",
                "operator": "append_tokens",
                "parameters_before": size,
                "parameters": 2 * size,
            }
            | {"loss_before": 5.0, "loss_after": 5.0}
            for step, size in ((390, 650_000), (680, 1_300_000))
            if grows
        ],
        "validations": [
            {"step": step, "words": 2e6 * step / STEPS[-1], "flops": flops * step / STEPS[-1], "seconds": 0.4 * step}
            | {"loss": loss + 3 * np.exp(-4 * step / STEPS[-1]) - 3 * np.exp(-4), "bits_per_byte": 1.5}
            | {"by_source": by_source}
            for step in STEPS
        ],
        "training": [[step, 1000.0 * step, 1e10 * step, loss + 0.1] for step in STEPS],
        "outcome": loss,
        "clipped_share": 0.4,
        "seconds": 600.0,
        "corpus": "made",
        "documents": {
            "nats": ((loss + own) * tokens).round(3).tolist(),
            "tokens": tokens.tolist(),
            "source": source.tolist(),
            "sources": list(SOURCES),
            "difficulty": (np.arange(DOCUMENTS) * 5 // DOCUMENTS).tolist(),
            "difficulties": 5,
        },
        "benchmarks": {"pairs": _benchmark(loss, generator)},
        "seconds_here": 700.0,
        "made_with": {"tokenformer": "0", "machine": "made"},
    }


def _benchmark(loss: float, generator: np.random.Generator) -> dict:
    parts = {}
    for name in ("agreement", "binding"):
        right = generator.random(200) < 0.6 - 0.2 * (loss - LEVEL)
        parts[name] = {"accuracy": float(right.mean()), "items": "".join("01"[each] for each in right.astype(int))}
    accuracy = float(np.mean([part["accuracy"] for part in parts.values()]))
    groups = {name: part["accuracy"] for name, part in parts.items()}
    return {"accuracy": accuracy, "chance": 0.5, "groups": groups, "parts": parts}


def write_records(
    grid_path: Path, folder: Path, effects: Mapping[str, float], seed: int = 0, leave_out: tuple[str, ...] = ()
) -> RunList:
    """Records of every run of a grid but those of `leave_out`, and the list of runs that reads them.

    Args:
        effects: arm -> what it adds to the loss.
    """
    grid = Grid.read(grid_path)
    runs = RunList(grid, Places(folder / "results", folder / "runs"))
    generator = np.random.default_rng(seed)
    of_seed: dict[int, float] = {}
    for run in runs.all:
        shared = of_seed.setdefault(run.seed, generator.normal(0, OF_SEED))
        loss = LEVEL + effects.get(run.arm, 0.0) + shared + generator.normal(0, OF_RUN)
        if run.trial is not None:
            loss += abs(np.log(run.trial / 0.004))
        flops = 5.1e13 if run.arm == "L0w" else 4e13
        if run.label not in leave_out:
            record = made_record(run, grid.hash, loss, generator, flops)
            write_record(record_file(runs.places.records, run.name), record)
    return runs
