"""Documents without the easiest or the hardest: perplexity pruning, where the measure is a perplexity."""

from dataclasses import dataclass

import numpy as np

from tokenformer.config.parameters import number_between, true_or_false
from tokenformer.curriculum.copies import Documents
from tokenformer.curriculum.levels import levels_of
from tokenformer.errors import UserError


@dataclass(frozen=True)
class PruningParameters:
    """How much is dropped (as Marion et al. 2023, arXiv:2309.04564, do by the perplexity of a reference model).

    Attributes:
        head: share of the text, by tokens, that is dropped at the easy end, in [0, 1).
        tail: the same at the hard end; together less than 1.
        by_source: whether every source loses these shares of its own, so that no domain is pruned away.
    """

    head: float = 0.0
    tail: float = 0.0
    by_source: bool = False

    def __post_init__(self):
        owner = "selection 'prune'"
        number_between(owner, "head", self.head, 0, 1, low_included=True)
        number_between(owner, "tail", self.tail, 0, 1, low_included=True)
        true_or_false(owner, "by_source", self.by_source)
        if not 0 < self.head + self.tail < 1:
            raise UserError(f"{owner}: head and tail must together be above 0 and below 1, not {self.head + self.tail}")


def left_by_pruning(documents: Documents, parameters: PruningParameters, generator: np.random.Generator) -> np.ndarray:
    """bool[n]: whether each document stays."""
    kept = np.zeros(documents.size, dtype=bool)
    groups = [np.arange(documents.size)]
    if parameters.by_source:
        groups = [np.flatnonzero(documents.source == source) for source in range(len(documents.source_names))]
    for group in groups:
        tokens, complexity = documents.tokens[group], documents.complexity[group]
        ends = [100 * parameters.head, 100 * (1 - parameters.tail)]
        kept[group] = levels_of(tokens, complexity, None, ends, generator) == 1
    return kept
