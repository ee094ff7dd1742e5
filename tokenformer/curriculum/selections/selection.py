"""What every selection offers."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from tokenformer.curriculum.copies import Documents


@dataclass(frozen=True)
class Selection:
    """Which documents a run may read.

    Attributes:
        name: key in the registry.
        keep: (documents, parameters, generator) -> bool[n], the documents that are kept; of `documents` those that
            earlier selections left.
        parameters: dataclass of what the user may set.
    """

    name: str
    keep: Callable[[Documents, Any, np.random.Generator], np.ndarray]
    parameters: type
