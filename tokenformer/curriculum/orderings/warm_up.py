"""A curriculum at the beginning, then none."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from tokenformer.config.keys import key
from tokenformer.curriculum.copies import Copies
from tokenformer.curriculum.orderings.ordering import OrderingKeys
from tokenformer.curriculum.orderings.shuffled import Random
from tokenformer.curriculum.orderings.sorted_epochs import EasyToHard


@dataclass(frozen=True)
class WarmUp(OrderingKeys):
    """The run in random order, of which the first part is ordered anew.

    What the curriculum orders is a random part of the text, over all difficulties, and epochs follow one another.
    """

    ordering: Any = key(EasyToHard(), "ordering at the beginning", registry="ordering")
    share: float = key(0.2, "part of the run's text that it orders", above=0, most=1)

    name = "warm_up"

    def order(self, copies: Copies, generator: np.random.Generator) -> np.ndarray:
        """As `Ordering.order`."""
        order = Random().order(copies, generator)
        cumulative = np.cumsum(copies.tokens[order])
        length = int(np.searchsorted(cumulative, self.share * cumulative[-1])) + 1 if cumulative.size else 0
        # Ordering functions take copies whose epochs ascend.
        first = np.sort(order[:length])
        return np.concatenate([first[self.ordering.order(copies.part(first), generator)], order[length:]])
