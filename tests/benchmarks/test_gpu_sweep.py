"""The sweep that a GPU is for, in Triton's interpreter at toy sizes: every part runs and finds what is wrong."""

import pytest

pytest.importorskip("triton")

from benchmarks import gpu_sweep
from benchmarks.gpu_sweep import check_bits, check_far_rows, check_values, sweep_widths


@pytest.fixture
def one_run_for_a_benchmark(monkeypatch):
    """`do_bench` needs a GPU's clock; here every function runs once and takes a millisecond."""

    def do_bench(function, **options):
        function()
        return 1.0

    monkeypatch.setattr("triton.testing.do_bench", do_bench)


def test_checks_pass(device):
    assert len(list(check_values(device, rows=6, width=16, tokens=24))) == 4
    assert list(check_bits(device, rows=3, width=8, tokens=20)) == ["two runs: the same bits"]
    assert len(list(check_far_rows(device, rows=5, tokens=20))) == 1


def test_checks_fail_where_something_is_wrong(device, monkeypatch):
    right = gpu_sweep.row_kernels
    monkeypatch.setattr(gpu_sweep, "row_kernels", lambda *tensors: right(*tensors) * 1.1)
    with pytest.raises(AssertionError, match="output is off by"):
        list(check_values(device, rows=4, width=16, tokens=24))
    noise = iter([0.0, 1.0])
    monkeypatch.setattr(gpu_sweep, "row_kernels", lambda *tensors: right(*tensors) + next(noise))
    with pytest.raises(AssertionError, match="two runs differ"):
        list(check_bits(device, rows=3, width=8, tokens=20))


@pytest.mark.usefixtures("one_run_for_a_benchmark")
def test_sweeps_have_a_row_for_each(device):
    rows = list(sweep_widths(device, (20, 64), elements=128))
    assert [(row["tokens"], row["rows"]) for row in rows] == [(20, 6), (64, 2)]
    assert rows[1]["backward_terabytes_per_second"] == pytest.approx(8 * 128 / 1e-3 / 1e12)
