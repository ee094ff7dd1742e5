"""What every ordering offers."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from tokenformer.config.parameters import NoParameters, filled_parameters
from tokenformer.curriculum.copies import Copies
from tokenformer.errors import UserError


@dataclass(frozen=True)
class Ordering:
    """How copies are ordered.

    Attributes:
        name: key in the registry.
        order: (copies, parameters, generator) -> int64[m], a permutation of the copies.
        parameters: dataclass of what the user may set.
        mixes_sources: whether sources may be ordered each for itself and then mixed by shares.
    """

    name: str
    order: Callable[[Copies, Any, np.random.Generator], np.ndarray]
    parameters: type = NoParameters
    mixes_sources: bool = True


ORDERINGS: dict[str, Ordering] = {}
"""Name -> ordering; the package enters them."""


def find_ordering(name: str) -> Ordering:
    """The ordering of that name; raises UserError where there is none."""
    if name not in ORDERINGS:
        raise UserError(f"there is no ordering '{name}'; choose one of: {', '.join(ORDERINGS)}")
    return ORDERINGS[name]


def ordering_parameters(name: str, values: Mapping[str, Any]) -> Any:
    """The parameters of the ordering `name` from the user's keys; raises UserError for unknown or invalid ones."""
    return filled_parameters(f"ordering '{name}'", find_ordering(name).parameters, values)
