"""Source after source."""

from dataclasses import dataclass

import numpy as np

from tokenformer.config.parameters import true_or_false
from tokenformer.curriculum.copies import Copies
from tokenformer.errors import UserError


@dataclass(frozen=True)
class DomainParameters:
    """Which source comes first.

    Attributes:
        sources: names in the order in which they are read, all of them; None is by mean complexity, easiest first.
        sorted: whether each source is read easy to hard, and not in random order.
    """

    sources: list[str] | None = None
    sorted: bool = False

    def __post_init__(self):
        owner = "ordering 'by_domain'"
        true_or_false(owner, "sorted", self.sorted)
        if self.sources is not None and not (
            isinstance(self.sources, list | tuple) and all(isinstance(name, str) for name in self.sources)
        ):
            raise UserError(f"{owner}: sources must be a list of names, not {self.sources!r}")


def _places(copies: Copies, parameters: DomainParameters) -> np.ndarray:
    """int64[sources]: the place of each source in an epoch."""
    names = copies.source_names
    places = np.empty(len(names), dtype=np.int64)
    if parameters.sources is None:
        tokens = np.bincount(copies.source, copies.tokens, minlength=len(names))
        total = np.bincount(copies.source, copies.tokens * copies.complexity, minlength=len(names))
        mean = np.divide(total, tokens, out=np.zeros(len(names)), where=tokens > 0)
        places[np.argsort(mean, kind="stable")] = np.arange(len(names))
        return places
    if sorted(parameters.sources) != sorted(names):
        raise UserError(
            f"ordering 'by_domain': sources must name each source of the corpus once, {', '.join(names)}; not "
            f"{', '.join(parameters.sources)}"
        )
    return np.array([parameters.sources.index(name) for name in names])


def by_domain_order(copies: Copies, parameters: DomainParameters, generator: np.random.Generator) -> np.ndarray:
    """Every epoch source by source; within a source in random order, or easy to hard."""
    keys = [_places(copies, parameters)[copies.source], copies.epoch]
    if parameters.sorted:
        keys.insert(0, copies.complexity)
    return np.lexsort((generator.random(copies.size), *keys))
