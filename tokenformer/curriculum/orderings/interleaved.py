"""Several climbs from easy to hard in each epoch."""

from dataclasses import dataclass

import numpy as np

from tokenformer.config.keys import key
from tokenformer.curriculum.copies import Copies
from tokenformer.curriculum.orderings.ordering import OrderingKeys


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
