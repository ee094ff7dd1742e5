"""The protocol and the registry of selections."""

from typing import Protocol

import numpy as np

from tokenformer.config.registry import Registry
from tokenformer.curriculum.copies import DocumentTable


class Selection(Protocol):
    """Which documents a run may read: a frozen dataclass whose fields are what the user may set."""

    name: str

    def keep(self, documents: DocumentTable, generator: np.random.Generator) -> np.ndarray:
        """bool[n]: the documents that are kept; of `documents` those that earlier selections left."""
        ...


SELECTIONS: Registry[type[Selection]] = Registry("selection")
"""Name -> class; the package enters them."""
