"""Clones stay what they were when they equalled those of HyperCloning's authors bit for bit; see `clone_recordings`."""

import json
from pathlib import Path

import pytest
import torch
from clone_recordings import recordings

GOLDEN = json.loads((Path(__file__).parent / "golden" / "hypercloning.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def recorded_now() -> dict:
    return recordings()


def test_the_same_is_recorded(recorded_now):
    assert {part: list(cases) for part, cases in recorded_now.items()} == {
        part: list(cases) for part, cases in GOLDEN.items()
    }


def test_clones_without_noise_are_the_recorded_ones_bit_for_bit(recorded_now):
    assert recorded_now["without noise"] == GOLDEN["without noise"]


@pytest.mark.parametrize("part", ["one generator", "a generator each"])
def test_noise_is_the_recorded_one(recorded_now, part):
    """To rounding: a processor with other vector units may sum and draw in another order."""
    for case, parameters in GOLDEN[part].items():
        assert recorded_now[part][case].keys() == parameters.keys()
        for name, expected in parameters.items():
            values = torch.tensor(recorded_now[part][case][name])
            torch.testing.assert_close(values, torch.tensor(expected), rtol=1e-5, atol=1e-6)
