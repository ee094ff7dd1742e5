"""Several climbs from easy to hard in each epoch."""

from dataclasses import dataclass

import numpy as np

from tokenformer.config.parameters import whole_number
from tokenformer.curriculum.copies import Copies


@dataclass(frozen=True)
class InterleavedParameters:
    """`cycles`: climbs in an epoch; 1 is `easy_to_hard`."""

    cycles: int = 4

    def __post_init__(self):
        whole_number("ordering 'interleaved'", "cycles", self.cycles, 1)


def interleaved_order(copies: Copies, parameters: InterleavedParameters, generator: np.random.Generator) -> np.ndarray:
    """Every epoch as cycles that each climb from its easiest text to its hardest.

    The copies of an epoch are ranked by complexity, and of each `cycles` neighbours every cycle gets one at random: so
    each cycle reaches over the whole range.
    """
    ranked = np.lexsort((generator.random(copies.size), copies.complexity, copies.epoch))
    epoch = copies.epoch[ranked]
    place = np.arange(copies.size) - np.searchsorted(epoch, epoch)  # in its epoch
    block = place // parameters.cycles
    dealt = np.lexsort((generator.random(copies.size), block, epoch))
    cycle = np.empty(copies.size, dtype=np.int64)
    cycle[dealt] = place % parameters.cycles  # blocks stay where they are, so places count inside of them
    return ranked[np.lexsort((place, cycle, epoch))]
