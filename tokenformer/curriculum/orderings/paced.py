"""Easy text first, and harder text admitted as the run goes on: drawn at random from all that is admitted."""

from dataclasses import dataclass, field

import numpy as np

from tokenformer.config.parameters import number_between, rising_numbers
from tokenformer.curriculum.copies import Copies
from tokenformer.curriculum.levels import check_edges, equal_parts, levels_of
from tokenformer.errors import UserError


@dataclass(frozen=True)
class PacedParameters:
    """Competence pacing (Platanios et al. 2019, arXiv:1903.09848, equations 6 and 7).

    At progress t of the run, a fraction of its tokens, the easiest part
    c(t) = min(1, (t / end * (1 - start**exponent) + start**exponent) ** (1 / exponent)) of all tokens is admitted.

    Attributes:
        start: part that is admitted from the beginning, in [0, 1].
        end: progress at which everything is admitted, in (0, 1].
        exponent: 1 admits at a constant rate, 2 is the paper's square root: fast first, then slower.
    """

    start: float = 0.25
    end: float = 0.6
    exponent: float = 1.0

    def __post_init__(self):
        owner = "ordering 'paced'"
        number_between(owner, "start", self.start, 0, 1, low_included=True)
        number_between(owner, "end", self.end, 0, 1, low_included=False)
        number_between(owner, "exponent", self.exponent, 0, 100, low_included=False)

    def admitted(self, progress: np.ndarray) -> np.ndarray:
        """c(t), the part of all tokens admitted at each progress in [0, 1]."""
        first = self.start**self.exponent
        return np.minimum(1.0, (progress / self.end * (1 - first) + first) ** (1 / self.exponent))

    def progress_at(self, part: np.ndarray) -> np.ndarray:
        """The inverse: the least progress at which each part in [0, 1] is admitted."""
        first = self.start**self.exponent
        if first == 1:
            return np.zeros_like(part)
        return np.maximum(0.0, self.end * (part**self.exponent - first) / (1 - first))


def paced_order(copies: Copies, parameters: PacedParameters, generator: np.random.Generator) -> np.ndarray:
    """Copies drawn at random from all those up to a rising level of complexity, so that easy text stays in the mix.

    Level and epochs: copies of all epochs are one pool, ranked by complexity (equals at random); a copy is admitted
    when the tokens up to and with it are at most c(t) of all tokens (`PacedParameters`). Each copy is read once. When
    everything that is admitted has been read, the easiest copy that is left is admitted ahead of its time.
    """
    ranked = np.lexsort((generator.random(copies.size), copies.complexity))
    cumulative = np.cumsum(copies.tokens[ranked])
    total = cumulative[-1] if cumulative.size else 0
    return _drawn(copies, ranked, parameters.progress_at(cumulative / total) * total, generator)


@dataclass(frozen=True)
class StepsParameters:
    """Pacing by thresholds: the next level of difficulty is admitted when the run gets to a point.

    Attributes:
        at: progress, a fraction of the run's tokens, at which each level but the first is admitted; rising.
        thresholds: as many complexities, in units of the measure, that end the levels but the last.
        percentiles: the same in percent of the text; without both, levels are of equal size.
    """

    at: list[float] = field(default_factory=lambda: [0.2, 0.4])
    thresholds: list[float] | None = None
    percentiles: list[float] | None = None

    def __post_init__(self):
        owner = "ordering 'paced_in_steps'"
        rising_numbers(owner, "at", self.at, 0, 1)
        check_edges(owner, self.thresholds, self.percentiles)
        edges = self.thresholds or self.percentiles or self.at
        if len(edges) != len(self.at):
            raise UserError(f"{owner}: at has {len(self.at)} points for {len(edges)} edges of levels; give as many")


def paced_in_steps_order(copies: Copies, parameters: StepsParameters, generator: np.random.Generator) -> np.ndarray:
    """As `paced_order`, but that the level of complexity rises at given points to given edges."""
    percentiles = parameters.percentiles
    if parameters.thresholds is None and percentiles is None:
        percentiles = equal_parts(len(parameters.at) + 1)
    level = levels_of(copies.tokens, copies.complexity, parameters.thresholds, percentiles, generator)
    ranked = np.lexsort((generator.random(copies.size), copies.complexity, level))
    admitted_at = np.array([0.0, *parameters.at])[level[ranked]]
    return _drawn(copies, ranked, admitted_at * copies.tokens.sum(), generator)


def _drawn(copies: Copies, ranked: np.ndarray, admitted_from: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """int64[m]: copies drawn at random, each from all that are admitted and not yet drawn.

    Args:
        ranked: int64[m], the copies in the order in which they are admitted.
        admitted_from: float64[m], not falling: tokens read when the copy of each rank is admitted, if not before, since
            a pool that runs dry takes the next one.
    """
    size = copies.size
    admitted_at, tokens = admitted_from.tolist(), copies.tokens[ranked].tolist()
    pool: list[int] = []
    drawn: list[int] = []
    admitted = read = 0
    for draw in generator.random(size).tolist():
        while admitted < size and (admitted_at[admitted] <= read or not pool):
            pool.append(admitted)
            admitted += 1
        position = int(draw * len(pool))
        rank = pool[position]
        pool[position] = pool[-1]
        pool.pop()
        drawn.append(rank)
        read += tokens[rank]
    return ranked[np.array(drawn, dtype=np.int64)]
