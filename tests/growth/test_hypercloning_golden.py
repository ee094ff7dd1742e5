"""Clones stay what they were when they equalled those of HyperCloning's authors bit for bit; see `clone_recordings`."""

import json

import pytest
import torch
from safetensors.torch import load_file

from tests.support.growth.clone_recordings import DIGESTS, DRAWING, GRID, NOISY, VALUES_KEPT, digest, spread_values

GOLDEN = json.loads(DIGESTS.read_text(encoding="utf-8"))
GOLDEN_VALUES = load_file(VALUES_KEPT)
ROUNDING = 1e-6  # relative to the largest value of a matrix

# Whose last bits are those of the recordings.
HAS_VECTOR_UNITS = torch.backends.cpu.get_cpu_capability() in ("AVX2", "AVX512")


@pytest.mark.parametrize("way", DRAWING)
def test_all_of_the_grid_is_recorded(way):
    assert list(GOLDEN[way]) == [str(case) for case in GRID]
    assert len(set(GOLDEN[way].values())) == len(GRID)
    assert len(GOLDEN_VALUES[way]) == len(NOISY)


@pytest.mark.parametrize("way", DRAWING)
def test_clones_are_the_recorded_ones_bit_for_bit(way):
    cases = GRID if HAS_VECTOR_UNITS else [case for case in GRID if case.noise_db is None]
    differing = [str(case) for case in cases if digest(DRAWING[way](case)) != GOLDEN[way][str(case)]]
    assert differing == []


@pytest.mark.parametrize("way", DRAWING)
def test_noise_is_the_recorded_one_to_rounding_on_any_processor(way):
    for case, expected in zip(NOISY, GOLDEN_VALUES[way], strict=True):
        values = spread_values(DRAWING[way](case))
        error = (values - expected).abs().amax(dim=1) / expected.abs().amax(dim=1)
        assert error.max() <= ROUNDING, str(case)
