"""Which documents a run may read; they are applied one after the other, before the order is made."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from tokenformer.config.building import build_named
from tokenformer.curriculum.copies import DocumentTable
from tokenformer.curriculum.selections.by_complexity import ComplexityWindow, Prune, WordBins
from tokenformer.curriculum.selections.selection import SELECTIONS, Selection
from tokenformer.errors import UserError

SELECTIONS.enter(ComplexityWindow, Prune, WordBins)

__all__ = ["SELECTIONS", "Selection", "selected"]


def selected(documents: DocumentTable, weight: np.ndarray, sections: Sequence[Any], seed: int) -> np.ndarray:
    """float64[n]: the weights of the documents, 0 for those that are not selected.

    Args:
        weight: float64[n]; documents of weight 0 do not count, as if they were not there.
        sections: name and parameters of each selection, in order.

    Raises UserError for a wrong section, and for selections that leave nothing.
    """
    for number, section in enumerate(sections):
        selection = build_named(section, SELECTIONS)
        present = np.flatnonzero(weight > 0)
        kept = selection.keep(documents.part(present), np.random.default_rng([seed, 2, number]))
        weight = weight.copy()
        weight[present[~kept]] = 0
        if not np.any(weight > 0):
            raise UserError(f"selection '{selection.name}' leaves no document; make it wider")
    return weight
