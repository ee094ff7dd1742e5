"""Orderings that take the copies of all epochs as one pool: admitted as the run goes on, or read in stages."""

from dataclasses import dataclass

import numpy as np

from tokenformer.config.keys import key
from tokenformer.curriculum.copies import Copies
from tokenformer.curriculum.levels import equal_parts, levels_of, one_kind_of_edges
from tokenformer.curriculum.orderings.ordering import OrderingKeys
from tokenformer.errors import UserError


@dataclass(frozen=True)
class Paced(OrderingKeys):
    """Competence pacing (Platanios et al. 2019, arXiv:1903.09848, equations 6 and 7).

    Copies are drawn at random from all those up to a rising level of complexity, so that easy text stays in the mix.
    At progress t of the run, a fraction of its tokens, the easiest part
    c(t) = min(1, (t / end * (1 - start**exponent) + start**exponent) ** (1 / exponent)) of all tokens is admitted.

    Level and epochs: copies of all epochs are one pool, ranked by complexity (equals at random); a copy is admitted
    when the tokens up to and with it are at most c(t) of all tokens. Each copy is read once. When everything that is
    admitted has been read, the easiest copy that is left is admitted ahead of its time.
    """

    start: float = key(0.25, "share of the text, the easiest, that is admitted at the start", least=0, most=1)
    end: float = key(0.6, "share of the run after which all text is admitted", above=0, most=1)
    exponent: float = key(1.0, "1 admits evenly; 2, the paper's square root, fast at first", above=0, most=100)

    name = "paced"

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

    def order(self, copies: Copies, generator: np.random.Generator) -> np.ndarray:
        """As `Ordering.order`."""
        ranked = np.lexsort((generator.random(copies.size), copies.complexity))
        cumulative = np.cumsum(copies.tokens[ranked])
        total = cumulative[-1] if cumulative.size else 0
        return _drawn(copies, ranked, self.progress_at(cumulative / total) * total, generator)


@dataclass(frozen=True)
class PacedInSteps(OrderingKeys):
    """As `Paced`, but the next level of difficulty is admitted when the run gets to a point."""

    at: list[float] = key(
        [0.2, 0.4], "shares of the run at which each level but the first is admitted", least=0, most=1, rising=True
    )
    thresholds: list[float] | None = key(None, "one complexity for each point of `at`: it ends a level", rising=True)
    percentiles: list[float] | None = key(
        None,
        "as thresholds, in percent of the text; without both, levels of equal size",
        least=0,
        most=100,
        rising=True,
    )

    name = "paced_in_steps"

    def __post_init__(self):
        super().__post_init__()
        one_kind_of_edges(self.name, self.thresholds, self.percentiles)
        edges = self.thresholds or self.percentiles or self.at
        if not self.at or len(edges) != len(self.at):
            raise UserError(
                f"{self.name}: at has {len(self.at)} points for {len(edges)} edges of levels; give as many, and one "
                "or more"
            )

    def order(self, copies: Copies, generator: np.random.Generator) -> np.ndarray:
        """As `Ordering.order`."""
        percentiles = self.percentiles
        if self.thresholds is None and percentiles is None:
            percentiles = equal_parts(len(self.at) + 1)
        level = levels_of(copies.tokens, copies.complexity, self.thresholds, percentiles, generator)
        ranked = np.lexsort((generator.random(copies.size), copies.complexity, level))
        admitted_at = np.array([0.0, *self.at])[level[ranked]]
        return _drawn(copies, ranked, admitted_at * copies.tokens.sum(), generator)


@dataclass(frozen=True)
class Staged(OrderingKeys):
    """A stage for each level of difficulty (Bengio et al. 2009; with `revisit` much like Spitkovsky et al. 2010).

    Copies of all epochs come stage by stage; in a stage epoch after epoch, each in random order.
    """

    stages: int = key(3, "levels of equal size, where no edges are given", least=1, most=1000)
    thresholds: list[float] | None = key(None, "complexities at which the next level begins", rising=True)
    percentiles: list[float] | None = key(None, "as thresholds, in percent of the text", least=0, most=100, rising=True)
    revisit: bool = key(False, "true: a copy may also be read in any later stage, all with equal chance")

    name = "staged"

    def __post_init__(self):
        super().__post_init__()
        one_kind_of_edges(self.name, self.thresholds, self.percentiles)

    def order(self, copies: Copies, generator: np.random.Generator) -> np.ndarray:
        """As `Ordering.order`."""
        percentiles = self.percentiles
        if self.thresholds is None and percentiles is None:
            percentiles = equal_parts(self.stages)
        edges = percentiles or self.thresholds or ()
        stage = levels_of(copies.tokens, copies.complexity, self.thresholds, percentiles, generator)
        if self.revisit:
            stage = stage + (generator.random(copies.size) * (len(edges) + 1 - stage)).astype(np.int64)
        return np.lexsort((generator.random(copies.size), copies.epoch, stage))


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
