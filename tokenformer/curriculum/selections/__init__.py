"""Which documents a run may read; they are applied one after the other, before the order is made."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tokenformer.config.parameters import filled_parameters
from tokenformer.curriculum.copies import Documents
from tokenformer.curriculum.selections.complexity_window import WindowParameters, in_complexity_window
from tokenformer.curriculum.selections.pruning import PruningParameters, left_by_pruning
from tokenformer.curriculum.selections.selection import Selection
from tokenformer.curriculum.selections.word_bins import BinsParameters, chosen_from_bins
from tokenformer.errors import UserError

SELECTIONS: dict[str, Selection] = {
    "complexity_window": Selection("complexity_window", in_complexity_window, WindowParameters),
    "prune": Selection("prune", left_by_pruning, PruningParameters),
    "word_bins": Selection("word_bins", chosen_from_bins, BinsParameters),
}


def selection_from(section: Any) -> tuple[Selection, Any]:
    """The selection that a section names, and its parameters; raises UserError for a wrong one."""
    if not isinstance(section, Mapping) or section.get("name") not in SELECTIONS:
        raise UserError(f"selections: {section!r} must be a section with a name, one of: {', '.join(SELECTIONS)}")
    selection = SELECTIONS[section["name"]]
    values = {key: value for key, value in section.items() if key != "name"}
    return selection, filled_parameters(f"selection '{selection.name}'", selection.parameters, values)


def selected(documents: Documents, weight: np.ndarray, sections: Sequence[Any], seed: int) -> np.ndarray:
    """float64[n]: the weights of the documents, 0 for those that are not selected.

    Args:
        weight: float64[n]; documents of weight 0 do not count, as if they were not there.
        sections: name and parameters of each selection, in order.

    Raises UserError for a wrong section, and for selections that leave nothing.
    """
    for number, section in enumerate(sections):
        selection, parameters = selection_from(section)
        present = np.flatnonzero(weight > 0)
        kept = selection.keep(documents.part(present), parameters, np.random.default_rng([seed, 2, number]))
        weight = weight.copy()
        weight[present[~kept]] = 0
        if not np.any(weight > 0):
            raise UserError(f"selection '{selection.name}' leaves no document; make it wider")
    return weight
