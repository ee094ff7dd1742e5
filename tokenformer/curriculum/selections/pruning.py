"""Documents without the easiest or the hardest: perplexity pruning, where the measure is a perplexity."""

from dataclasses import dataclass

import numpy as np

from tokenformer.config.building import Checked
from tokenformer.config.keys import key
from tokenformer.curriculum.copies import Documents
from tokenformer.curriculum.levels import levels_of
from tokenformer.errors import UserError


@dataclass(frozen=True)
class Prune(Checked):
    """Drops text (as Marion et al. 2023, arXiv:2309.04564, do by the perplexity of a reference model)."""

    head: float = key(0.0, "share of the text, by tokens, that is dropped at the easy end", least=0, most=1)
    tail: float = key(0.0, "the same at the hard end; together less than 1", least=0, most=1)
    by_source: bool = key(False, "every source loses these shares of its own, so that none is pruned away")

    name = "prune"

    def __post_init__(self):
        super().__post_init__()
        if not 0 < self.head + self.tail < 1:
            raise UserError(
                f"{self.name}: head and tail must together be above 0 and below 1, not {self.head + self.tail}"
            )

    def keep(self, documents: Documents, generator: np.random.Generator) -> np.ndarray:
        """As `Selection.keep`."""
        kept = np.zeros(documents.size, dtype=bool)
        groups = [np.arange(documents.size)]
        if self.by_source:
            groups = [np.flatnonzero(documents.source == source) for source in range(len(documents.source_names))]
        for group in groups:
            tokens, complexity = documents.tokens[group], documents.complexity[group]
            ends = [100 * self.head, 100 * (1 - self.tail)]
            kept[group] = levels_of(tokens, complexity, None, ends, generator) == 1
        return kept
