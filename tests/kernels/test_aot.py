"""Every row kernel compiled for cards that are not here, and whether the gate would have seen a fault."""

import itertools
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.kernel_comparison import FORMS

pytest.importorskip("triton")

NVIDIA = ("sm_80", "sm_86", "sm_90", "sm_100", "sm_120")
AMD = ("gfx90a", "gfx942")
KERNELS = ("theta_forward", "theta_backward", "theta_sums", "theta_weights", "theta_dots", "theta_grads")


def run(repository: Path, *arguments: str) -> subprocess.CompletedProcess:
    """A Python process in the checkout in which Triton compiles and does not interpret."""
    environment = {key: value for key, value in os.environ.items() if key != "TRITON_INTERPRET"}
    environment["PYTHONPATH"] = str(repository)
    return subprocess.run(
        [sys.executable, *arguments], cwd=repository, env=environment, capture_output=True, text=True, timeout=600
    )


@pytest.fixture(scope="module")
def gate(repository, tmp_path_factory) -> tuple[str, list[dict]]:
    """What the gate prints, and its table."""
    path = tmp_path_factory.mktemp("aot") / "table.json"
    result = run(repository, "-m", "benchmarks.aot_table", "--json", str(path))
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout, json.loads(path.read_text(encoding="utf-8"))


def test_every_kernel_compiles_for_every_card_without_a_fault(gate):
    printed, rows = gate
    assert printed.rstrip().endswith(f"{len(rows)} kernels compiled, 0 faults")
    assert {(row["target"], row["name"]) for row in rows} == set(itertools.product((*NVIDIA, *AMD), KERNELS))
    for row in rows:
        assert row["spilled"] == 0 and row["narrow_offsets"] == [], row
        assert 0 < row["registers"] <= 255 and row["instructions"] > 100, row


def test_every_form_is_compiled(gate):
    _, rows = gate
    forms = {(row["variant"], row["gelu"], row["name"]) for row in rows if row["target"] == "sm_90"}
    assert forms >= {(*form, name) for form in FORMS for name in ("theta_forward", "theta_backward")}


def test_the_table_has_a_line_for_each(gate):
    printed, rows = gate
    lines = printed.splitlines()
    assert lines[0].split()[-8:-3] == ["segments", "registers", "spilled", "shared", "instructions"]
    for line, row in zip(lines[1:], rows, strict=False):
        assert line.startswith(row["target"]) and row["name"] in line and str(row["registers"]) in line.split()


def test_the_gate_finds_every_fault(repository):
    result = run(repository, "tests/support/programs/aot_offenders.py")
    assert result.returncode == 0, result.stderr
    found = json.loads(result.stdout)
    assert found.pop("none") == []
    for offender, faults in found.items():
        expected = {
            "narrow_offset": "not 64-bit",
            "widened_too_late": "not 64-bit",
            "piecemeal": "bytes at a time",
            "one warp": "spilled",
        }
        (words,) = (words for name, words in expected.items() if offender.startswith(name))
        assert any(words in fault for fault in faults), (offender, faults)
    assert len(found) == 8
