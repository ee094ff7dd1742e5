"""Statistics of paired runs: intervals, tests, corrections, equivalence, the detectable effect, and a bootstrap.

Runs of two arms are paired by seed. Differences are `first - second`; a negative difference of losses is a gain of the
first arm. Methods are scipy's where it has them; Holm's correction is Holm 1979, equivalence two one-sided t tests
(Schuirmann 1987).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tokenformer.errors import MissingExtraError, UserError

POWER = 0.8
DRAWS = 2000
POINTS = 20_000
"""Points of a numerical integral."""


def _scipy() -> tuple[Any, Any]:
    """scipy's `stats` and `optimize`."""
    try:
        from scipy import optimize, stats
    except ImportError as error:
        raise MissingExtraError("scipy", "report", "A comparison") from error
    return stats, optimize


@dataclass(frozen=True)
class Paired:
    """The paired difference of two arms.

    Args:
        differences: by seed.
        mean: of the differences.
        deviation: standard deviation of the differences, None with one seed.
        low, high: confidence interval of the mean, None with one seed.
        p: of a two-sided paired t test that the mean is 0, None with one seed.
    """

    differences: Mapping[int, float]
    mean: float
    deviation: float | None
    low: float | None
    high: float | None
    p: float | None

    @property
    def n(self) -> int:
        return len(self.differences)


def paired(first: Mapping[int, float], second: Mapping[int, float], confidence: float = 0.95) -> Paired:
    """The difference over the seeds that both have.

    Args:
        first, second: seed -> outcome.

    Raises:
        UserError: they have no seed in common.
    """
    seeds = sorted(first.keys() & second.keys())
    if not seeds:
        raise UserError("two arms have no seed in common; make runs of the same seeds")
    differences = {seed: first[seed] - second[seed] for seed in seeds}
    values = np.array(list(differences.values()))
    if len(seeds) == 1:
        return Paired(differences, float(values[0]), None, None, None, None)
    stats, _ = _scipy()
    deviation = float(values.std(ddof=1))
    if deviation == 0:
        mean = float(values[0])
        return Paired(differences, mean, 0.0, mean, mean, 1.0 if mean == 0 else 0.0)
    test = stats.ttest_1samp(values, 0.0)
    interval = test.confidence_interval(confidence)
    return Paired(
        differences, float(values.mean()), deviation, float(interval.low), float(interval.high), float(test.pvalue)
    )


def holm(p_values: Sequence[float]) -> list[float]:
    """P values corrected for their number, so that at most one family in 1 / alpha has a false rejection."""
    order = np.argsort(p_values, kind="stable")
    corrected, largest = [0.0] * len(p_values), 0.0
    for rank, index in enumerate(order):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[index]))
        corrected[index] = largest
    return corrected


def equivalence(difference: Paired, margin: float) -> float | None:
    """P value of the hypothesis that the true difference is `margin` or more, either way; None with one seed."""
    if difference.deviation is None:
        return None
    if difference.deviation == 0:
        return 0.0 if abs(difference.mean) < margin else 1.0
    stats, _ = _scipy()
    values = list(difference.differences.values())
    above = stats.ttest_1samp(values, -margin, alternative="greater").pvalue
    below = stats.ttest_1samp(values, margin, alternative="less").pvalue
    return float(max(above, below))


def detectable_effect(n: int, deviation: float, significance: float = 0.05, power: float = POWER) -> float | None:
    """The true difference that a two-sided paired t test finds with this power; None with one seed.

    Args:
        n: pairs.
        deviation: standard deviation of the paired differences.
    """
    if n < 2:
        return None
    stats, optimize = _scipy()
    critical = stats.t.ppf(1 - significance / 2, n - 1)
    # The non-central t as a mean over standard deviations that a sample may have; scipy's own fails far from 0.
    shares = (np.arange(POINTS) + 0.5) / POINTS
    bar = critical * np.sqrt(stats.chi2.ppf(shares, n - 1) / (n - 1))

    def missing(effect: float) -> float:
        shift = effect * math.sqrt(n)
        return float((stats.norm.sf(bar - shift) + stats.norm.cdf(-bar - shift)).mean()) - power

    return float(optimize.brentq(missing, 1e-6, 1000.0)) * deviation


@dataclass(frozen=True)
class DocumentLosses:
    """The loss of every held-out document in the runs of one arm.

    Args:
        nats: float64 [seeds, documents].
        tokens: float64 [documents].
        source: int64 [documents]; the outcome is the mean over sources, or over all tokens where all are one source.
    """

    nats: np.ndarray
    tokens: np.ndarray
    source: np.ndarray


def bootstrap_interval(
    first: DocumentLosses, second: DocumentLosses, confidence: float = 0.95, draws: int = DRAWS, seed: int = 0
) -> tuple[float, float]:
    """Percentile interval of the mean paired difference: seeds are drawn anew, and for each of them documents.

    It asks for more than the t interval, which holds for this held-out text: would other documents say the same?
    """
    generator = np.random.default_rng(seed)
    difference = first.nats - second.nats
    seeds, documents = difference.shape
    parts = [np.flatnonzero(first.source == source) for source in np.unique(first.source)]
    means = np.empty(draws)
    for draw in range(draws):
        chosen = generator.integers(seeds, size=seeds)
        total = 0.0
        for part in parts:
            weight = generator.multinomial(len(part), np.full(len(part), 1 / len(part)), size=seeds)
            losses = (weight * difference[np.ix_(chosen, part)]).sum(axis=1) / (weight @ first.tokens[part])
            total += float(losses.mean()) / len(parts)
        means[draw] = total
    low, high = np.quantile(means, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


def benchmark_interval(
    first: np.ndarray, second: np.ndarray, confidence: float = 0.95, draws: int = DRAWS, seed: int = 0
) -> tuple[float, float]:
    """Interval of the difference in accuracy on a benchmark, over seeds and items.

    Args:
        first, second: float64 [seeds, items], what each item counted.
    """
    generator = np.random.default_rng(seed)
    difference = first - second
    seeds, items = difference.shape
    means = np.empty(draws)
    for draw in range(draws):
        weight = generator.multinomial(items, np.full(items, 1 / items))
        means[draw] = (difference[generator.integers(seeds, size=seeds)] @ weight).mean() / items
    low, high = np.quantile(means, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)
