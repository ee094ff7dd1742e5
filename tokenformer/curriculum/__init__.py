"""Text complexity, and the order in which documents of known complexity are read."""

from tokenformer.curriculum.orderings import ORDERINGS
from tokenformer.curriculum.scoring import MEASURES, score

__all__ = ["MEASURES", "ORDERINGS", "score"]
