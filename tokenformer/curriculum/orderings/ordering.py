"""The protocol and the registry of orderings."""

from dataclasses import dataclass
from typing import ClassVar, Protocol

import numpy as np

from tokenformer.config.building import Checked
from tokenformer.config.registry import Registry
from tokenformer.curriculum.copies import Copies


class Ordering(Protocol):
    """A frozen dataclass whose fields are what the user may set.

    Attributes:
        name: in the registry, and in the YAML.
        mixes_sources: whether sources may be ordered each for itself and then mixed by shares.
    """

    name: str
    mixes_sources: ClassVar[bool]

    def order(self, copies: Copies, generator: np.random.Generator) -> np.ndarray:
        """int64[m]: a permutation of the copies, in the order in which they are read."""
        ...


@dataclass(frozen=True)
class OrderingKeys(Checked):
    """Base of the orderings."""

    mixes_sources: ClassVar[bool] = True


ORDERINGS: Registry[type[Ordering]] = Registry("ordering")
"""Name -> class; the package enters them."""
