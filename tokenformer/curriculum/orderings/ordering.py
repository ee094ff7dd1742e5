"""What every ordering offers."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from tokenformer.curriculum.copies import Copies
from tokenformer.curriculum.parameters import NoParameters


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
