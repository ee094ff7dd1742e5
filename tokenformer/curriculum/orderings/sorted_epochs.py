"""Every epoch sorted by complexity, so that all text comes again in each."""

import numpy as np

from tokenformer.config.parameters import NoParameters
from tokenformer.curriculum.copies import Copies


def easy_to_hard_order(copies: Copies, parameters: NoParameters, generator: np.random.Generator) -> np.ndarray:
    """Every epoch by ascending complexity; equals in random order."""
    return np.lexsort((generator.random(copies.size), copies.complexity, copies.epoch))


def hard_to_easy_order(copies: Copies, parameters: NoParameters, generator: np.random.Generator) -> np.ndarray:
    """Every epoch by descending complexity; equals in random order."""
    return np.lexsort((generator.random(copies.size), -copies.complexity, copies.epoch))
