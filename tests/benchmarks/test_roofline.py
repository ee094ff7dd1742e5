"""The roofline model against figures that were worked out by hand for the notes on the kernels."""

import subprocess
import sys

import pytest

from benchmarks.measuring.shapes import LARGE, SHAPES, Shape
from benchmarks.roofline import CARDS, IMPLEMENTATIONS, floor_microseconds, predicted_microseconds, predicted_ratio
from benchmarks.roofline import saved_mebibytes as saved

EAGER, ROWS, SWIGLU = IMPLEMENTATIONS.values()
# GFLOP forward, then microseconds: floor, eager, row kernels; MiB saved: row kernels, eager.
BY_HAND_ON_H100 = [
    (155, 587, 1690, 788, 96, 288),
    (618, 2349, 6780, 3154, 384, 1152),
    (550, 2088, 5040, 2625, 256, 768),
    (618, 2349, 4570, 2751, 192, 576),
    (1100, 4175, 7130, 4712, 256, 768),
]
RATIOS = {"H100": (1.34, 1.34, 1.26, 1.17, 1.13), "A100": (1.20, 1.20, 1.15, 1.10, 1.07)}


@pytest.mark.parametrize("shape, expected", list(zip(LARGE, BY_HAND_ON_H100, strict=True)), ids=[s.name for s in LARGE])
def test_five_layers_on_an_h100(shape, expected):
    gflop, floor, *microseconds, saved_by_rows, saved_by_eager = expected
    card = CARDS["H100"]
    assert 2 * shape.product_flops / 1e9 == pytest.approx(gflop, rel=3e-3)
    assert floor_microseconds(card, shape) == pytest.approx(floor, abs=1)
    for implementation, time in zip((EAGER, ROWS), microseconds, strict=True):
        assert predicted_microseconds(card, shape, implementation) == pytest.approx(time, rel=3e-3)
    assert (saved(shape, ROWS), saved(shape, EAGER)) == (saved_by_rows, saved_by_eager)


@pytest.mark.parametrize("card", CARDS)
def test_ratios_to_the_floor(card):
    ours = [predicted_ratio(CARDS[card], shape, ROWS) for shape in LARGE]
    assert ours == pytest.approx(RATIOS[card], abs=6e-3)
    assert ours == [predicted_ratio(CARDS[card], shape, SWIGLU) for shape in LARGE]


@pytest.mark.parametrize("rows, tokens", [(1, 1), (4096, 5120), (70000, 96)])
def test_the_ratio_depends_on_the_width_alone(rows, tokens):
    card, width = CARDS["H100"], 384
    ratio = predicted_ratio(card, Shape("any", rows, width, tokens), ROWS)
    assert ratio == pytest.approx(1 + card.flops / card.bandwidth / width)
    assert ratio == pytest.approx(1.69, abs=5e-3)


def test_a_swiglu_of_equal_flops():
    for shape in SHAPES:
        assert 3 * shape.swiglu_width == pytest.approx(2 * shape.tokens, rel=5e-3)
        assert shape.swiglu_width % 8 == 0


def test_it_prints_a_line_a_shape(repository):
    command = [sys.executable, "-m", "benchmarks.roofline", "--flops", "1e15", "--bandwidth", "4e12"]
    printed = subprocess.run(command, cwd=repository, capture_output=True, text=True, check=True).stdout
    (line,) = (line for line in printed.splitlines() if line.startswith("150M qkv"))
    assert "464 " in line and "(1.33x)" in line  # 6 x 77.3 GFLOP at 1e15; 1 + 250 / 768
