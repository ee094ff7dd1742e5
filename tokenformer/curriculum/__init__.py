"""Text complexity, and which documents of known complexity are read in which order."""

from tokenformer.curriculum.orderings import ORDERINGS
from tokenformer.curriculum.scoring import MEASURES, score
from tokenformer.curriculum.selections import SELECTIONS

__all__ = ["MEASURES", "ORDERINGS", "SELECTIONS", "score"]
