"""An ordering of one's own."""

from dataclasses import dataclass

import numpy as np

from tokenformer.config.keys import key
from tokenformer.curriculum.copies import Copies
from tokenformer.curriculum.orderings.ordering import OrderingKeys


@dataclass(frozen=True)
class Spiral(OrderingKeys):
    """Every epoch climbs from easy to hard and back, several times."""

    turns: int = key(2, "climbs and descents in an epoch", least=1, most=1000)

    name = "spiral"

    def order(self, copies: Copies, generator: np.random.Generator) -> np.ndarray:
        """As `Ordering.order`."""
        turn = generator.integers(0, self.turns, copies.size)
        is_descent = generator.random(copies.size) < 0.5
        height = np.where(is_descent, -copies.complexity, copies.complexity)
        return np.lexsort((height, is_descent, turn, copies.epoch))
