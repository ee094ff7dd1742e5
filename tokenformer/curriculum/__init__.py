"""The order in which documents of known complexity are read."""

from tokenformer.curriculum.orderings import ORDERINGS
from tokenformer.curriculum.selections import SELECTIONS

__all__ = ["ORDERINGS", "SELECTIONS"]
