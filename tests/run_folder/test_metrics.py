"""metrics.jsonl: whole lines in, and a resumed run cuts off what it will do again."""

import json
import math

import pytest

from tokenformer.run_folder.metrics import MetricsFile, read_metrics

LINES = [
    {"iteration_step": 0, "val/loss": 6.0, "elapsed_seconds": 0.0},
    {"iteration_step": 1, "lm_loss": 5.0, "elapsed_seconds": 0.5},
    {"iteration_step": 1, "growth/stage_ends": 1, "val/loss": 5.5, "elapsed_seconds": 0.5},
    {"iteration_step": 1, "growth/event": 1},
    {"iteration_step": 2, "lm_loss": 4.0, "elapsed_seconds": 1.0},
    {"iteration_step": 2, "growth/event": 2},
    {"iteration_step": 3, "lm_loss": 3.0, "elapsed_seconds": 1.5},
]


def write(folder, lines, rest=""):
    text = "".join(json.dumps(line) + "\n" for line in lines) + rest
    (folder / "metrics.jsonl").write_text(text, encoding="utf-8")


@pytest.mark.parametrize(("step", "kept", "seconds"), [(-1, 0, 0), (0, 1, 0), (1, 2, 0.5), (2, 5, 1), (3, 7, 1.5)])
def test_a_run_that_resumes_keeps_what_came_before_its_checkpoint(tmp_path, step, kept, seconds):
    """A growth after step k comes after the checkpoint of step k, so that event is done again."""
    write(tmp_path, LINES)
    file = MetricsFile(tmp_path, step)
    file.close()
    assert read_metrics(tmp_path / "metrics.jsonl") == LINES[:kept]
    assert file.elapsed_seconds == seconds


@pytest.mark.parametrize("rest", ['{"iteration_step": 4', '{"iteration_step": 4}', "\x00\x00\x00"])
def test_the_end_of_a_killed_process_does_no_harm(tmp_path, rest):
    write(tmp_path, LINES, rest)
    file = MetricsFile(tmp_path, 3)
    file.write({"iteration_step": 4, "lm_loss": 2.0})
    file.close()
    assert read_metrics(tmp_path / "metrics.jsonl") == [*LINES, {"iteration_step": 4, "lm_loss": 2.0}]


def test_a_line_is_on_disk_as_soon_as_it_is_written(tmp_path):
    file = MetricsFile(tmp_path, -1)
    for count, line in enumerate(LINES, start=1):
        file.write(line)
        assert read_metrics(tmp_path / "metrics.jsonl") == LINES[:count]
    file.close()


def test_a_run_without_metrics_has_none(tmp_path):
    assert read_metrics(tmp_path / "metrics.jsonl") == []


@pytest.mark.parametrize("damage", [b"{", b"\x00\xff", b"[1]", b'{"lm_loss": 1.0}', b'{"iteration_step": "2"}', b"NaN"])
def test_an_unreadable_line_in_the_middle_costs_no_other(tmp_path, damage):
    lines = [json.dumps(line).encode() for line in LINES]
    lines.insert(2, damage)
    (tmp_path / "metrics.jsonl").write_bytes(b"\n".join(lines) + b"\n")
    MetricsFile(tmp_path, 3).close()
    assert read_metrics(tmp_path / "metrics.jsonl") == LINES
    assert (tmp_path / "metrics.jsonl").read_bytes().split(b"\n")[2] == damage


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_number_that_is_not_finite_is_null(tmp_path, value):
    file = MetricsFile(tmp_path, -1)
    file.write({"iteration_step": 1, "lm_loss": value, "grad_norm": 1.0})
    file.close()
    text = (tmp_path / "metrics.jsonl").read_text()
    line = json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert line == {"iteration_step": 1, "lm_loss": None, "grad_norm": 1.0}
