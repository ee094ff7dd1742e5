"""Shares of sources in what is read, which may change over the run."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from tokenformer.curriculum.copies import Budget, Copies, DocumentTable, choose_copies
from tokenformer.errors import UserError

_PROGRESS = np.linspace(0, 1, 10_001)


@dataclass(frozen=True)
class Mixture:
    """The share of each source at each progress of the run, linear between given points and then divided by their sum.

    Attributes:
        names: of the sources.
        points: for each source, progress in [0, 1] and share at rising points; before the first and after the last the
            share stays.
    """

    names: tuple[str, ...]
    points: tuple[tuple[tuple[float, float], ...], ...]

    @classmethod
    def of(cls, section: Mapping[str, Any], names: Sequence[str]) -> "Mixture":
        """The mixture of a section: source -> share, or a list of [progress, share].

        Raises UserError for sources that are missing or unknown, and for shares that are none.
        """
        if not isinstance(section, Mapping) or sorted(map(str, section)) != sorted(names):
            given = ", ".join(map(str, section)) if isinstance(section, Mapping) else repr(section)
            raise UserError(
                f"mixture: give a share to each source of the corpus, {', '.join(names)}; 0 leaves one out; not {given}"
            )
        mixture = cls(tuple(names), tuple(_points(name, section[name]) for name in names))
        if np.any(mixture._raw.sum(axis=0) <= 0):
            raise UserError("mixture: at some point of the run all shares are 0; give one source a share there")
        return mixture

    @cached_property
    def _raw(self) -> np.ndarray:
        """float64[sources, points of progress]: shares as given."""
        columns = [tuple(zip(*points, strict=True)) for points in self.points]
        return np.stack([np.interp(_PROGRESS, progress, shares) for progress, shares in columns])

    @cached_property
    def cumulative(self) -> np.ndarray:
        """float64[sources, 10001]: part of the run's text that is of each source until each progress."""
        shares = self._raw / self._raw.sum(axis=0)
        steps = (shares[:, 1:] + shares[:, :-1]) / 2 * np.diff(_PROGRESS)
        return np.concatenate([np.zeros((len(self.names), 1)), np.cumsum(steps, axis=1)], axis=1)

    @property
    def totals(self) -> np.ndarray:
        """float64[sources]: part of the run's text that is of each source."""
        return self.cumulative[:, -1]

    def progress_at(self, source: int, part: np.ndarray) -> np.ndarray:
        """Progress at which a source has given each part, in [0, 1], of all that it gives."""
        given = self.cumulative[source]
        return np.interp(part * given[-1], given, _PROGRESS)


def _is_share(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _points(name: str, value: Any) -> tuple[tuple[float, float], ...]:
    points = [[0, value]] if _is_share(value) else value
    is_list = isinstance(points, list | tuple) and len(points) > 0
    if not is_list or not all(
        isinstance(point, list | tuple) and len(point) == 2 and all(map(_is_share, point)) for point in points
    ):
        raise UserError(f"mixture: {name} must be a share, or a list of [progress, share], not {value!r}")
    progress = [point[0] for point in points]
    rises = all(first < second for first, second in zip(progress, progress[1:], strict=False))
    if not rises or not (progress[0] >= 0 and progress[-1] <= 1) or any(share < 0 for _, share in points):
        raise UserError(f"mixture: of {name}, progress must rise from 0 to 1 and no share be below 0: {value!r}")
    return tuple((float(point), float(share)) for point, share in points)


def choose_mixed(
    documents: DocumentTable, weight: np.ndarray, mixture: Mixture, budget: Budget, seed: int
) -> list[Copies]:
    """The copies of each source, with its share of the budget; epochs are those of the source.

    Shares are of tokens. A budget in words is dealt out so that they come out so.

    Args:
        weight: float64[n]; a document with 0 is not read, all others equally often within their source.

    Raises UserError for a source with a share of which no text is selected.
    """
    parts = []
    shares = mixture.totals.copy()
    kept = [np.flatnonzero((documents.source == source) & (weight > 0)) for source in range(len(mixture.names))]
    for source, members in enumerate(kept):
        if shares[source] > 0 and not members.size:
            raise UserError(f"mixture: {mixture.names[source]} has a share, and none of its text is selected")
        if budget.unit == "words" and members.size:
            shares[source] *= documents.words[members].sum() / documents.tokens[members].sum()
    shares = shares / shares.sum()
    for source in range(len(mixture.names)):
        generator = np.random.default_rng([seed, 0, source])
        size = shares[source] * budget.size
        source_budget = Budget(np.ceil(size) if budget.unit == "tokens" else np.floor(size), budget.unit)
        own = np.where(documents.source == source, np.sign(weight), 0.0)
        parts.append(choose_copies(documents, own, source_budget, generator) if size > 0 else _nothing(documents))
    return parts


def _nothing(documents: DocumentTable) -> Copies:
    return Copies.of(documents, np.zeros(0, np.int64), np.zeros(0, np.int64))


def mixed(parts: Sequence[Copies], mixture: Mixture) -> np.ndarray:
    """int64[m]: the documents of all sources in one order, by the shares at each progress.

    Every document stands where its source is due with the middle of its tokens.

    Args:
        parts: the copies of each source, in the order in which they are read.
    """
    due, documents = [], []
    for source, copies in enumerate(parts):
        ends = np.cumsum(copies.tokens)
        middles = (ends - copies.tokens / 2) / (ends[-1] if ends.size else 1)
        due.append(mixture.progress_at(source, middles) if copies.size else middles)
        documents.append(copies.document)
    return np.concatenate(documents)[np.argsort(np.concatenate(due), kind="stable")]
