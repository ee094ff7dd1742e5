"""Orderings that read each epoch whole: at random, sorted, in several climbs, source by source, or ordered at first."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from tokenformer.config.keys import key
from tokenformer.curriculum.copies import Copies
from tokenformer.curriculum.orderings.ordering import OrderingKeys
from tokenformer.errors import UserError


@dataclass(frozen=True)
class Random(OrderingKeys):
    """Every epoch in an order of its own: no curriculum, which all others are compared with."""

    name = "random"

    def order(self, copies: Copies, generator: np.random.Generator) -> np.ndarray:
        """As `Ordering.order`."""
        return np.lexsort((generator.random(copies.size), copies.epoch))


@dataclass(frozen=True)
class EasyToHard(OrderingKeys):
    """Every epoch by ascending complexity; equals in random order."""

    name = "easy_to_hard"

    def order(self, copies: Copies, generator: np.random.Generator) -> np.ndarray:
        """As `Ordering.order`."""
        return np.lexsort((generator.random(copies.size), copies.complexity, copies.epoch))


@dataclass(frozen=True)
class HardToEasy(OrderingKeys):
    """Every epoch by descending complexity; equals in random order."""

    name = "hard_to_easy"

    def order(self, copies: Copies, generator: np.random.Generator) -> np.ndarray:
        """As `Ordering.order`."""
        return np.lexsort((generator.random(copies.size), -copies.complexity, copies.epoch))


@dataclass(frozen=True)
class Interleaved(OrderingKeys):
    """Every epoch as cycles that each climb from its easiest text to its hardest.

    The copies of an epoch are ranked by complexity, and of each `cycles` neighbours every cycle gets one at random: so
    each cycle reaches over the whole range.
    """

    cycles: int = key(4, "climbs in an epoch; 1 is easy_to_hard", least=1, most=10_000)

    name = "interleaved"

    def order(self, copies: Copies, generator: np.random.Generator) -> np.ndarray:
        """As `Ordering.order`."""
        ranked = np.lexsort((generator.random(copies.size), copies.complexity, copies.epoch))
        epoch = copies.epoch[ranked]
        place = np.arange(copies.size) - np.searchsorted(epoch, epoch)  # in its epoch
        block = place // self.cycles
        dealt = np.lexsort((generator.random(copies.size), block, epoch))
        cycle = np.empty(copies.size, dtype=np.int64)
        cycle[dealt] = place % self.cycles  # blocks stay where they are, so places count inside of them
        return ranked[np.lexsort((place, cycle, epoch))]


@dataclass(frozen=True)
class ByDomain(OrderingKeys):
    """Every epoch source by source; within a source in random order, or easy to hard."""

    sources: list[str] | None = key(None, "all sources, in the order in which they are read; null: by mean complexity")
    sorted: bool = key(False, "true: each source is read easy to hard, and not in random order")

    name = "by_domain"
    mixes_sources: ClassVar[bool] = False

    def order(self, copies: Copies, generator: np.random.Generator) -> np.ndarray:
        """As `Ordering.order`."""
        keys = [self._places(copies)[copies.source], copies.epoch]
        if self.sorted:
            keys.insert(0, copies.complexity)
        return np.lexsort((generator.random(copies.size), *keys))

    def _places(self, copies: Copies) -> np.ndarray:
        """int64[sources]: the place of each source in an epoch."""
        names = copies.source_names
        places = np.empty(len(names), dtype=np.int64)
        if self.sources is None:
            tokens = np.bincount(copies.source, copies.tokens, minlength=len(names))
            total = np.bincount(copies.source, copies.tokens * copies.complexity, minlength=len(names))
            mean = np.divide(total, tokens, out=np.zeros(len(names)), where=tokens > 0)
            places[np.argsort(mean, kind="stable")] = np.arange(len(names))
            return places
        if sorted(self.sources) != sorted(names):
            raise UserError(
                f"ordering 'by_domain': sources must name each source of the corpus once, {', '.join(names)}; not "
                f"{', '.join(self.sources)}"
            )
        return np.array([self.sources.index(name) for name in names])


@dataclass(frozen=True)
class WarmUp(OrderingKeys):
    """The run in random order, of which the first part is ordered anew.

    What the curriculum orders is a random part of the text, over all difficulties, and epochs follow one another.
    """

    ordering: Any = key(EasyToHard(), "ordering at the beginning", registry="ordering")
    share: float = key(0.2, "share of the run's text that this ordering orders", above=0, most=1)

    name = "warm_up"

    def order(self, copies: Copies, generator: np.random.Generator) -> np.ndarray:
        """As `Ordering.order`."""
        order = Random().order(copies, generator)
        cumulative = np.cumsum(copies.tokens[order])
        length = int(np.searchsorted(cumulative, self.share * cumulative[-1])) + 1 if cumulative.size else 0
        # Ordering functions take copies whose epochs ascend.
        first = np.sort(order[:length])
        return np.concatenate([first[self.ordering.order(copies.part(first), generator)], order[length:]])
