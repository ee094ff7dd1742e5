"""Stages of rising difficulty, one after the other, with or without easier text in the later ones."""

from dataclasses import dataclass

import numpy as np

from tokenformer.config.keys import key
from tokenformer.curriculum.copies import Copies
from tokenformer.curriculum.levels import equal_parts, levels_of, one_kind_of_edges
from tokenformer.curriculum.orderings.ordering import OrderingKeys


@dataclass(frozen=True)
class Staged(OrderingKeys):
    """A stage for each level of difficulty (Bengio et al. 2009; with `revisit` much like Spitkovsky et al. 2010).

    Copies of all epochs come stage by stage; in a stage epoch after epoch, each in random order.
    """

    stages: int = key(3, "levels of equal size, where no edges are given", least=1, most=1000)
    thresholds: list[float] | None = key(None, "complexities at which the next level begins", rising=True)
    percentiles: list[float] | None = key(None, "the same in percent of the text", least=0, most=100, rising=True)
    revisit: bool = key(False, "a copy may also be read in any later stage, all with equal chance")

    name = "staged"

    def __post_init__(self):
        super().__post_init__()
        one_kind_of_edges(self.name, self.thresholds, self.percentiles)

    def order(self, copies: Copies, generator: np.random.Generator) -> np.ndarray:
        """As `Ordering.order`."""
        percentiles = self.percentiles
        if self.thresholds is None and percentiles is None:
            percentiles = equal_parts(self.stages)
        edges = self.thresholds if percentiles is None else percentiles
        stage = levels_of(copies.tokens, copies.complexity, self.thresholds, percentiles, generator)
        if self.revisit:
            stage = stage + (generator.random(copies.size) * (len(edges) + 1 - stage)).astype(np.int64)
        return np.lexsort((generator.random(copies.size), copies.epoch, stage))
