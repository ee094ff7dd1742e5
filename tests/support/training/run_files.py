"""Reads what a run wrote, in ways of its own: nothing here is shared with the code under test."""

import json
import shutil
from pathlib import Path

import torch
from safetensors.torch import load_file

from tests.support.folders import forget_checksums

# What depends on the clock, and so differs between equal runs.
TIMES = ("tokens_per_sec", "tokens_per_sec_per_gpu", "time_per_iteration_ms", "model_tflops_per_gpu", "elapsed_seconds")


def metrics(run: Path) -> list[dict]:
    """The lines of metrics.jsonl without what depends on the clock."""
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    return [{key: value for key, value in line.items() if key not in TIMES} for line in lines]


def step_lines(run: Path) -> list[dict]:
    return [line for line in metrics(run) if "lm_loss" in line]


def growth_lines(run: Path) -> list[dict]:
    return [line for line in metrics(run) if "growth/event" in line]


def held_out_steps(run: Path) -> list[int]:
    """Steps after which held-out loss was measured because it was due, not because the model was about to grow."""
    measured = [line for line in metrics(run) if "val/loss" in line and "growth/stage_ends" not in line]
    return [line["iteration_step"] for line in measured]


def event_steps(run: Path) -> list[int]:
    return [line["iteration_step"] for line in growth_lines(run)]


def latest_step(run: Path) -> int:
    return int((run / "checkpoints" / "latest.txt").read_text())


def checkpoint(run: Path, step: int | None = None) -> Path:
    """The folder of a checkpoint, the latest if none is named."""
    return run / "checkpoints" / str(latest_step(run) if step is None else step)


def files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def weights(folder: Path) -> dict[str, torch.Tensor]:
    """All tensors of a checkpoint's model, by file."""
    tensors = {}
    for path in sorted(folder.glob("model/**/*.safetensors")):
        for key, tensor in load_file(path).items():
            tensors[f"{path.relative_to(folder)}:{key}"] = tensor
    assert tensors, f"{folder} holds no weights"
    return tensors


def optimizer_state(folder: Path) -> dict[str, torch.Tensor]:
    """Adam's moments and step counts in a checkpoint, by file and parameter."""
    tensors = {}
    for path in sorted(folder.glob("optimizer/*.pt")):
        content = torch.load(path, weights_only=False)
        for index, state in content["state"].items():
            for key, tensor in state.items():
                tensors[f"{path.name}:{content['names'][index]}:{key}"] = tensor
    assert tensors, f"{folder} holds no optimizer state"
    return tensors


def differing(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> list[str]:
    """Names of tensors that are not bitwise equal, or are missing in one of two mappings."""
    names = first.keys() | second.keys()
    both = first.keys() & second.keys()
    return sorted(name for name in names if name not in both or not torch.equal(first[name], second[name]))


def assert_same_end(run: Path, reference: Path) -> None:
    """Both runs ended with bitwise equal weights and optimizer, and wrote the same metrics."""
    ours, theirs = checkpoint(run), checkpoint(reference)
    assert ours.name == theirs.name
    assert differing(weights(ours), weights(theirs)) == []
    assert differing(optimizer_state(ours), optimizer_state(theirs)) == []
    assert metrics(run) == metrics(reference)


def forget_configs(run: Path) -> None:
    """Removes the run's config from its folder and its checkpoints, as in a copy of checkpoints that never held it."""
    for path in (run / "config.yaml", *run.glob("checkpoints/*/run.yaml")):
        path.unlink()
    forget_checksums(run)


def rewound_copy(run: Path, runs_folder: Path, step: int) -> Path:
    """A copy of a run in another `runs_folder`, as if it had been stopped right after the checkpoint of `step`.

    Lines of metrics beyond it stay: a stopped run may have written some.
    """
    copy = runs_folder / run.name
    shutil.copytree(run, copy)
    (copy / "checkpoints" / "latest.txt").write_text(str(step))
    for folder in (copy / "checkpoints").iterdir():
        if folder.name.isdigit() and int(folder.name) > step:
            shutil.rmtree(folder)
    return copy
