"""A curriculum at the beginning, then none."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tokenformer.config.parameters import number_between
from tokenformer.curriculum.copies import Copies
from tokenformer.curriculum.orderings.ordering import find_ordering, ordering_parameters
from tokenformer.curriculum.orderings.shuffled import random_order
from tokenformer.errors import UserError


def _chosen(section: Any) -> tuple[Any, Any]:
    """The ordering of a section with a name, and its parameters."""
    if not isinstance(section, dict) or not isinstance(section.get("name"), str):
        raise UserError(f"ordering 'warm_up': ordering must be a section with a name, not {section!r}")
    values = {key: value for key, value in section.items() if key != "name"}
    return find_ordering(section["name"]), ordering_parameters(section["name"], values)


@dataclass(frozen=True)
class WarmUpParameters:
    """Which curriculum, and for how long.

    Attributes:
        ordering: name and parameters of the ordering at the beginning.
        share: part of the run's text that it orders, in (0, 1].
    """

    ordering: dict[str, Any] = field(default_factory=lambda: {"name": "easy_to_hard"})
    share: float = 0.2

    def __post_init__(self):
        number_between("ordering 'warm_up'", "share", self.share, 0, 1, low_included=False)
        _chosen(self.ordering)


def warm_up_order(copies: Copies, parameters: WarmUpParameters, generator: np.random.Generator) -> np.ndarray:
    """The run in random order, of which the first part is ordered anew.

    What the curriculum orders is a random part of the text, over all difficulties, and epochs follow one another.
    """
    order = random_order(copies, None, generator)
    cumulative = np.cumsum(copies.tokens[order])
    length = int(np.searchsorted(cumulative, parameters.share * cumulative[-1])) + 1 if cumulative.size else 0
    # Ordering functions take copies whose epochs ascend.
    first = np.sort(order[:length])
    ordering, inner = _chosen(parameters.ordering)
    return np.concatenate([first[ordering.order(copies.part(first), inner, generator)], order[length:]])
