"""Text complexity: measures that say how hard a text is."""

from tokenformer.complexity.scoring import MEASURES, score

__all__ = ["MEASURES", "score"]
