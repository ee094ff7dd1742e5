"""Every epoch sorted by complexity, so that all text comes again in each."""

from dataclasses import dataclass

import numpy as np

from tokenformer.curriculum.copies import Copies
from tokenformer.curriculum.orderings.ordering import OrderingKeys


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
