"""Source after source."""

from dataclasses import dataclass

import numpy as np

from tokenformer.config.keys import key
from tokenformer.curriculum.copies import Copies
from tokenformer.curriculum.orderings.ordering import OrderingKeys
from tokenformer.errors import UserError


@dataclass(frozen=True)
class ByDomain(OrderingKeys):
    """Every epoch source by source; within a source in random order, or easy to hard."""

    sources: list[str] | None = key(None, "all sources, in the order in which they are read; null: by mean complexity")
    sorted: bool = key(False, "each source is read easy to hard, and not in random order")

    name = "by_domain"
    mixes_sources = False

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
