"""How many times the cost of one arm another needs for the same held-out loss.

The baseline's loss as a function of its training FLOPs C is fitted to *decayed end points*: `a + b C^-c` where there
are three budgets or more; where there are two, a straight line in log C, which overstates a little between its ends.
The speed-up is the C at which the fitted baseline has the arm's loss, divided by the arm's own FLOPs, which count
everything from its first step on. What would make such a number a lie is refused by name.
"""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tokenformer.experiments.records import Record
from tokenformer.experiments.statistics import _scipy

DECAYED = 0.2
"""Share of its highest learning rate at which a run has to end."""

DRAWS = 1000
FARTHEST = 2.0
"""Times beyond the dearest budget, or below the cheapest, that a curve is believed."""


@dataclass(frozen=True)
class SpeedUpFound:
    """The ratio of FLOPs at equal loss, its interval over seeds, and what is to be known of it; or why there is none.

    `seconds` is the same ratio in time, where both were measured on one machine at one load, which is for the reader to
    judge; `tuning_flops` is what the trials of both cost beside.
    """

    arm: str
    baseline: tuple[str, ...]
    ratio: float | None = None
    low: float | None = None
    high: float | None = None
    curve: str = ""
    seconds: float | None = None
    tuning_flops: float = 0.0
    refusals: tuple[str, ...] = ()


def refusals(arms: Mapping[str, Sequence[Record]], trials: Mapping[str, int], baseline: Sequence[str]) -> list[str]:
    """Why a comparison of these arms is no speed-up.

    Args:
        arms: name -> records of the runs.
        trials: name -> number of trials of its tuning.
        baseline: names of those that the curve is fitted to.
    """
    found = []
    for name, records in arms.items():
        undecayed = [record["seed"] for record in records if not _decayed(record)]
        if undecayed:
            found.append(f"{name} is not decayed: its learning rate ends above {DECAYED:.0%} of its highest")
    counts = {trials.get(name, 0) for name in arms}
    if min(counts) == 0:
        untuned = ", ".join(name for name in arms if not trials.get(name))
        found.append(f"{untuned} is not tuned: its learning rate was not chosen by trials")
    elif len(counts) > 1:
        found.append("the arms are not tuned alike: they had different numbers of trials")
    seeds = [{record["seed"] for record in records} for records in arms.values()]
    if len(set.intersection(*seeds)) < 2:
        found.append("the runs are not paired: fewer than two seeds are common to all arms")
    budgets = {round(np.mean([record["flops"] for record in arms[name]]) / 1e9) for name in baseline if arms[name]}
    if len(budgets) < 2:
        found.append("the baseline has one budget, and a curve needs two or more")
    return found


def _decayed(record: Record) -> bool:
    final, peak = record.get("final_rate"), record.get("peak_rate")
    return final is not None and peak is not None and final <= DECAYED * peak


def speed_up(
    arm: str,
    records: Mapping[str, Sequence[Record]],
    baseline: Sequence[str],
    trials: Mapping[str, int],
    tuning_flops: float = 0.0,
) -> SpeedUpFound:
    """The speed-up of an arm over a baseline, or why none is given.

    Args:
        records: name -> records, of the arm and of the baseline's arms.
    """
    named = {name: records[name] for name in (arm, *baseline)}
    because = refusals(named, trials, baseline)
    if because:
        return SpeedUpFound(arm, tuple(baseline), refusals=tuple(because))
    seeds = sorted(set.intersection(*({record["seed"] for record in found} for found in named.values())))
    by_seed = {name: {record["seed"]: record for record in found} for name, found in named.items()}
    generator = np.random.default_rng(0)
    point = _ratio(by_seed, arm, baseline, seeds, "flops")
    if point is None:
        reason = f"the loss of {arm} lies too far from those of the baseline for its curve to be believed"
        return SpeedUpFound(arm, tuple(baseline), refusals=(reason,))
    drawn = [
        ratio
        for _ in range(DRAWS)
        if (ratio := _ratio(by_seed, arm, baseline, generator.choice(seeds, len(seeds)).tolist(), "flops", True))
        is not None
    ]
    low, high = np.quantile(drawn, [0.025, 0.975])
    budgets = len(baseline)
    return SpeedUpFound(
        arm,
        tuple(baseline),
        ratio=point,
        low=float(low),
        high=float(high),
        curve="a + b C^-c" if budgets > 2 else "a straight line in log C",
        seconds=_ratio(by_seed, arm, baseline, seeds, "seconds"),
        tuning_flops=tuning_flops,
    )


def _ratio(
    by_seed: Mapping[str, Mapping[int, Record]],
    arm: str,
    baseline: Sequence[str],
    seeds: Sequence[int],
    cost: str,
    anywhere: bool = False,
) -> float | None:
    def mean(name: str, key: str) -> float:
        return float(np.mean([by_seed[name][seed][key] for seed in seeds]))

    costs = np.array([mean(name, cost) for name in baseline])
    losses = np.array([mean(name, "outcome") for name in baseline])
    order = np.argsort(costs)
    needed = cost_at(costs[order], losses[order], mean(arm, "outcome"))
    if needed is None or not (anywhere or costs.min() / FARTHEST <= needed <= costs.max() * FARTHEST):
        return None
    return needed / mean(arm, cost)


def cost_at(costs: np.ndarray, losses: np.ndarray, loss: float) -> float | None:
    """The cost at which a curve through (costs, losses) has a loss; None where it never does.

    Args:
        costs: float64 [n], rising, n of 2 or more.
        losses: float64 [n].
    """
    if costs[0] == costs[-1]:
        return None
    if len(costs) == 2:
        slope = (losses[1] - losses[0]) / np.log(costs[1] / costs[0])
        return float(costs[0] * np.exp((loss - losses[0]) / slope)) if slope < 0 else None
    _, optimize = _scipy()
    scaled = costs / costs[-1]

    def curve(x, a, b, c):
        return a + b * x**-c

    start = (losses[-1] * 0.8, losses[-1] * 0.2, 0.3)
    bounds = ([0, 0, 0.01], [losses.min(), np.inf, 3])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optimize.OptimizeWarning)  # three points leave no error to estimate
        (a, b, c), _ = optimize.curve_fit(curve, scaled, losses, p0=start, bounds=bounds, maxfev=20_000)
    return float(costs[-1] * (b / (loss - a)) ** (1 / c)) if loss > a and b > 0 else None
