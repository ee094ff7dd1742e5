"""How well numbers put texts in order, with intervals: rank correlation, and the share of articles ordered right."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import rankdata


@dataclass(frozen=True)
class Estimate:
    """A statistic, and the interval that holds the middle 95 % of its bootstrap resamples."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


def spearman(x: np.ndarray, y: np.ndarray) -> float:
    """Rank correlation, ties given their mean rank; 0 where one side is constant."""
    return pearson(rankdata(x), rankdata(y))


def partial_spearman(x: np.ndarray, y: np.ndarray, control: np.ndarray) -> float:
    """Rank correlation of x and y once the ranks of `control` are taken out of both by linear regression."""
    against = rankdata(control)
    return pearson(_residual(rankdata(x), against), _residual(rankdata(y), against))


def pearson(x: np.ndarray, y: np.ndarray) -> float:
    x, y = x - x.mean(), y - y.mean()
    scale = np.sqrt((x @ x) * (y @ y))
    # What is left of a variable that its control explains wholly is rounding.
    return float(x @ y / scale) if scale > 1e-9 * x.size else 0.0


def _residual(values: np.ndarray, control: np.ndarray) -> np.ndarray:
    values, control = values - values.mean(), control - control.mean()
    return values - control * (values @ control) / max(control @ control, 1e-300)


def share_ascending(*levels: np.ndarray) -> float:
    """Share of the n articles whose scores rise strictly from level to level; each level is float64[n]."""
    return float(np.all([low < high for low, high in zip(levels, levels[1:], strict=False)], axis=0).mean())


def resampled_rows(groups: Sequence[str], resamples: int, seed: int = 0) -> list[np.ndarray]:
    """Rows of each bootstrap resample: whole groups are drawn with replacement, because texts of one are alike."""
    _, number = np.unique(np.asarray(groups), return_inverse=True)
    order = np.argsort(number, kind="stable")
    members = np.split(order, np.cumsum(np.bincount(number))[:-1])
    generator = np.random.default_rng(seed)
    draws = generator.integers(0, len(members), (resamples, len(members)))
    return [np.concatenate([members[group] for group in draw]) for draw in draws]


def estimate(statistic: Callable[..., float], columns: Sequence[np.ndarray], rows: list[np.ndarray]) -> Estimate:
    """`statistic(*columns)` with its interval over the resamples `rows`."""
    values = [statistic(*(column[chosen] for column in columns)) for chosen in rows]
    low, high = np.quantile(values, [0.025, 0.975]) if values else (np.nan, np.nan)
    return Estimate(statistic(*columns), float(low), float(high))
