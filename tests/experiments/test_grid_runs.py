"""A grid of two arms and two seeds from YAML to page: killed, resumed, and in agreement with scipy on the raw runs."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time

import pytest
from scipy import stats

from tests.support.training.launching import clean_environment
from tests.support.training.run_files import metrics
from tokenformer.cli import main

SECONDS_ALLOWED = 600


def compare(path, *options: str) -> list[str]:
    folder = path.parent
    places = ["--results", str(folder / "results"), "--runs", str(folder / "runs")]
    return ["-m", "tokenformer", "compare", str(path), *places, *options]


def kill_when_the_second_run_trains(path) -> None:
    """Ends the comparison and everything that it started, at once, while it is in the middle of a run."""
    process = subprocess.Popen(
        [sys.executable, *compare(path)], env=clean_environment(), stderr=subprocess.PIPE, start_new_session=True
    )
    deadline = time.monotonic() + SECONDS_ALLOWED
    while not list((path.parent / "runs" / "large-1").glob("checkpoints/*/model_config.json")):
        assert process.poll() is None, process.stderr.read().decode()[-3000:]
        assert time.monotonic() < deadline
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def outcome_in(run) -> float:
    """The mean over sources of the last held-out loss, from the run's own metrics."""
    last = [line for line in metrics(run) if "val/loss" in line][-1]
    losses = [value for key, value in last.items() if key.startswith("val/loss/")]
    return sum(losses) / len(losses)


@pytest.mark.slow
def test_from_yaml_to_page_through_a_kill(tiny_grid):
    path = tiny_grid(settings={"curriculum.ordering": {"name": "easy_to_hard"}, "tokens.train_steps": 120})
    folder = path.parent
    kill_when_the_second_run_trains(path)
    assert [record.name for record in (folder / "results" / "records").iterdir()] == ["grown-1.jsonl"]
    first = (folder / "results" / "records" / "grown-1.jsonl").read_bytes()

    command = [sys.executable, *compare(path, "--nice", "1")]
    result = subprocess.run(command, env=clean_environment(), capture_output=True, text=True, timeout=SECONDS_ALLOWED)
    assert result.returncode == 0, result.stderr[-3000:]
    assert "1 of 4 runs are finished" in result.stderr
    assert (folder / "results" / "records" / "grown-1.jsonl").read_bytes() == first
    assert "goes on after step" in (folder / "runs" / "large-1" / "log.txt").read_text(encoding="utf-8")
    assert not list((folder / "runs").glob("*/checkpoints"))

    records = {}
    for record in (folder / "results" / "records").iterdir():
        found = json.loads(record.read_text(encoding="utf-8"))
        records[found["arm"], found["seed"]] = found["outcome"]
        assert record.stat().st_size < 100_000
    losses = {
        (arm, seed): outcome_in(folder / "runs" / f"{arm}-{seed}") for arm in ("grown", "large") for seed in (1, 2)
    }
    assert records == pytest.approx(losses)
    test = stats.ttest_rel([losses["grown", 1], losses["grown", 2]], [losses["large", 1], losses["large", 2]])
    interval = test.confidence_interval(0.95)
    table = (folder / "results" / "table.md").read_text(encoding="utf-8")
    assert f"{interval.low:+.4f} to {interval.high:+.4f} | {test.pvalue:.2g} |" in table
    assert "no speed-up" not in table
    assert (folder / "results" / "page.html").read_text(encoding="utf-8").count("<picture>") == 5

    # Two of its runs, laid side by side.
    runs = [str(folder / "runs" / name) for name in ("grown-1", "large-1")]
    assert main(["compare", *runs, "--results", str(folder / "beside")]) == 0
    beside = (folder / "beside" / "table.md").read_text(encoding="utf-8")
    assert "| model.model_config.qkv_tokens | 16 | 64 |" in beside


@pytest.mark.slow
def test_a_failed_run_is_named_and_the_others_go_on(tiny_grid, capsys):
    arms = {"fine": {}, "broken": {"settings": {"optimizer.parameter_groups": [{"parameters": "nothing"}] * 2}}}
    arms["broken"]["settings"] = {"model.init_method": {"path": "nowhere", "std": None}}
    contrasts = [{"name": "H1", "first": "broken", "second": "fine"}]
    path = tiny_grid(arms=arms, contrasts=contrasts, seeds=[1])
    assert main(compare(path)[2:]) == 2
    shown = capsys.readouterr().err
    assert "1 runs failed, 0 wait" in shown and "broken/1" in shown and "nowhere" in shown
    assert (path.parent / "results" / "records" / "fine-1.jsonl").is_file()
    assert "1 runs are missing" in (path.parent / "results" / "table.md").read_text(encoding="utf-8")


def test_slurm_gets_a_task_for_each_run(tiny_grid, capsys):
    assert main(compare(tiny_grid(), "--slurm", "--threads", "3")[2:]) == 0
    script = capsys.readouterr().out
    assert "--array=0-3" in script and "--cpus-per-task=3" in script
    assert [line.strip() for line in script.splitlines() if line.startswith("  ")] == [
        "grown/1",
        "large/1",
        "grown/2",
        "large/2",
    ]
    with contextlib.suppress(FileNotFoundError):
        assert subprocess.run(["bash", "-n"], input=script, text=True).returncode == 0
