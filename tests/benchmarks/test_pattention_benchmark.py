"""What the benchmark compares computes the same, and what it writes is what it measured. No time is asserted."""

import csv
import json
import subprocess
import sys

import pytest
import torch

from benchmarks.measuring import compared_layers
from benchmarks.measuring.compared_layers import LIMIT, OURS, build, implementations, is_swiglu
from benchmarks.measuring.shapes import SHAPES, Shape
from benchmarks.measuring.stopwatch import LiveTensors, quantiles
from benchmarks.pattention import measure_shape, rows_for_a_cpu, write_results
from tokenformer.kernels import reference

SHAPE = Shape("tiny", 96, 16, 64)


@pytest.fixture
def without_a_compiler(monkeypatch):
    """Compiling takes longer than all of this; torch's part of it is not ours to test."""
    monkeypatch.setattr(compared_layers, "absence_of_a_compiler", lambda device: "left out in tests")


@pytest.mark.usefixtures("without_a_compiler")
def test_every_pattention_that_is_compared_computes_the_same():
    x = torch.randn(SHAPE.rows, SHAPE.width)
    for name, function in implementations("cpu").items():
        layer = build(function, name, SHAPE, torch.float32, "cpu")
        output = layer.function(x, *layer.parameters)
        assert output.shape == x.shape
        if name != LIMIT and not is_swiglu(name):
            keys, values = layer.parameters
            options = {"segments": [64], "tau": torch.tensor([8.0]), "eps": 1e-6}
            expected = reference.pattention(x, keys, values, variant="l2_norm_gelu", gelu="erf", **options)
            torch.testing.assert_close(output, expected, rtol=1e-5, atol=1e-5, msg=name)


@pytest.mark.usefixtures("without_a_compiler")
def test_rows_of_the_csv_and_files(tmp_path):
    rows = measure_shape(implementations("cpu"), SHAPE, torch.float32, "cpu", seconds=0)
    assert {row["pass"] for row in rows} == {"forward", "backward", "both"}
    assert all(row["milliseconds"] >= 0 for row in rows)
    assert all(row["ratio"] == 1 for row in rows if row["implementation"] == LIMIT)
    score, output = 96 * 64 * 4 / 2**20, 96 * 16 * 4 / 2**20  # MiB
    kept = {row["implementation"]: row["kept_mebibytes"] for row in rows}
    assert kept[LIMIT] == pytest.approx(score + output, rel=1e-3)
    assert kept[OURS] == pytest.approx(score + output, rel=0.02)  # and a number a row
    assert kept["official eager"] > 2.9 * score
    assert all(row["peak_mebibytes"] >= row["kept_mebibytes"] for row in rows)
    write_results(rows, "cpu", tmp_path / "results")
    with open(tmp_path / "results" / "pattention.csv", encoding="utf-8") as file:
        assert [row["implementation"] for row in csv.DictReader(file)] == [row["implementation"] for row in rows]
    assert json.loads((tmp_path / "results" / "machine.json").read_text())["torch"] == torch.__version__
    assert (tmp_path / "results" / "pattention.png").read_bytes().startswith(b"\x89PNG")


def test_live_tensors_counts_what_is_alive():
    known = torch.zeros(1000)
    with LiveTensors([known]) as live:
        view = known[:10]
        one = known + 1
        two = torch.cat([one, one])
        assert live.bytes == 12000
        one.add_(1)
        del one
        assert live.bytes == 8000
        del two, view
    assert (live.bytes, live.peak) == (0, 12000)


def test_cpu_rows_are_a_power_of_two_and_no_more_than_on_a_gpu():
    for shape in SHAPES:
        rows = rows_for_a_cpu(shape)
        assert rows <= shape.rows and rows & (rows - 1) == 0 and rows >= 128


def test_quantiles():
    assert quantiles([3.0]) == (3.0, 3.0, 3.0)
    assert quantiles([5.0, 1.0, 2.0, 3.0, 4.0, 0.0]) == (2.5, 1.0, 4.0)


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
@pytest.mark.parametrize("module", [["benchmarks.gpu_sweep"], ["benchmarks.pattention", "--device", "cuda"]])
def test_without_a_gpu_one_line_says_so(module, repository):
    result = subprocess.run([sys.executable, "-m", *module], cwd=repository, capture_output=True, text=True)
    assert result.returncode == 2
    assert "GPU" in result.stderr and len(result.stderr.splitlines()) == 1
