"""No curriculum: what all others are compared with."""

from dataclasses import dataclass

import numpy as np

from tokenformer.curriculum.copies import Copies
from tokenformer.curriculum.orderings.ordering import OrderingKeys


@dataclass(frozen=True)
class Random(OrderingKeys):
    """Every epoch in an order of its own."""

    name = "random"

    def order(self, copies: Copies, generator: np.random.Generator) -> np.ndarray:
        """As `Ordering.order`."""
        return np.lexsort((generator.random(copies.size), copies.epoch))
