"""Cost at equal loss: the right ratio on a known curve, and every reason not to give one."""

import numpy as np
import pytest

from tests.support.cases import cases
from tokenformer.experiments.speed_up import cost_at, speed_up

TRIALS = {"grown": 4, "small": 4, "middle": 4, "large": 4}


def curve(flops: float) -> float:
    return 2.5 + 1.8 * (flops / 1e13) ** -0.35


def record(number: int, loss: float, flops: float, **changes) -> dict:
    noise = np.random.default_rng([number, int(flops)]).normal(0, 0.002)
    own = {"seed": number, "outcome": loss + noise, "flops": flops, "seconds": flops / 1e10}
    return {**own, "final_rate": 1e-5, "peak_rate": 4e-3, **changes}


def arms(ratio: float = 1.3, **changes) -> dict[str, list[dict]]:
    budgets = {"small": 1e13, "middle": 2e13, "large": 4e13}
    found = {name: [record(seed, curve(flops), flops) for seed in range(1, 7)] for name, flops in budgets.items()}
    return found | {"grown": [record(seed, curve(2e13 * ratio), 2e13, **changes) for seed in range(1, 7)]}


def test_a_known_ratio_is_found():
    found = speed_up("grown", arms(), ["small", "middle", "large"], TRIALS, 1e14)
    assert found.ratio == pytest.approx(1.3, rel=0.03)
    assert found.low < 1.3 < found.high and found.high - found.low < 0.1
    assert (found.tuning_flops, found.refusals) == (1e14, ())
    assert found.seconds == pytest.approx(found.ratio)
    # A line through two budgets lies above a curve between them, and so overstates.
    assert 1.3 < speed_up("grown", arms(), ["small", "large"], TRIALS).ratio < 1.45


@cases(
    ({"final_rate": 4e-3}, ["small", "large"], TRIALS, "not decayed"),
    ({}, ["small", "large"], {"grown": 4}, "small, large is not tuned"),
    ({}, ["small", "large"], {**TRIALS, "grown": 8}, "not tuned alike"),
    ({"seed": 9}, ["small", "large"], TRIALS, "not paired"),
    ({}, ["small"], TRIALS, "one budget"),
    ({"outcome": 2.6}, ["small", "middle", "large"], TRIALS, "too far"),
)
def test_what_is_no_speed_up_is_refused(changes, baseline, trials, reason):
    found = speed_up("grown", arms(**changes), baseline, trials)
    assert found.ratio is None
    assert any(reason in each for each in found.refusals), found.refusals


def test_curves_that_never_get_there():
    costs = np.array([1.0, 2.0])
    assert cost_at(costs, np.array([3.0, 3.1]), 2.9) is None
    assert cost_at(np.array([1.0, 1.0]), np.array([3.0, 2.9]), 2.8) is None
    assert cost_at(costs, np.array([3.0, 2.9]), 2.8) == pytest.approx(4.0)
