"""So many words of every difficulty."""

from dataclasses import dataclass, field

import numpy as np

from tokenformer.curriculum.budget import number_of_words
from tokenformer.curriculum.copies import Documents
from tokenformer.curriculum.levels import check_edges, equal_parts, levels_of
from tokenformer.errors import UserError


@dataclass(frozen=True)
class BinsParameters:
    """Bins of difficulty, easiest first, and how much of each is read.

    Attributes:
        words: for each bin the words that are kept at most, as a number or like "2M"; None keeps the whole bin.
        thresholds: complexities in units of the measure between the bins, one fewer than bins.
        percentiles: the same in percent of the text; without both, bins are of equal size.
    """

    words: list[int | str | None] = field(default_factory=list)
    thresholds: list[float] | None = None
    percentiles: list[float] | None = None

    def __post_init__(self):
        owner = "selection 'word_bins'"
        check_edges(owner, self.thresholds, self.percentiles)
        if not isinstance(self.words, list | tuple) or not self.words:
            raise UserError(f"{owner}: words must be a list with a number (or null) for each bin, not {self.words!r}")
        edges = self.thresholds if self.thresholds is not None else self.percentiles
        if edges is not None and len(edges) != len(self.words) - 1:
            raise UserError(
                f"{owner}: {len(edges)} edges make {len(edges) + 1} bins, and words has {len(self.words)} numbers"
            )
        for words in self.words:
            if words is not None:
                number_of_words(words, f"{owner}: words")


def chosen_from_bins(documents: Documents, parameters: BinsParameters, generator: np.random.Generator) -> np.ndarray:
    """bool[n]: a random part of each bin, with as many of its words as fit.

    Raises UserError for a bin that has fewer words than are asked of it.
    """
    percentiles = parameters.percentiles
    if parameters.thresholds is None and percentiles is None:
        percentiles = equal_parts(len(parameters.words))
    bins = levels_of(documents.tokens, documents.complexity, parameters.thresholds, percentiles, generator)
    kept = np.zeros(documents.size, dtype=bool)
    for number, asked in enumerate(parameters.words):
        members = np.flatnonzero(bins == number)
        if asked is None:
            kept[members] = True
            continue
        wanted, there = number_of_words(asked, "words"), int(documents.words[members].sum())
        if wanted > there:
            raise UserError(
                f"selection 'word_bins': bin {number + 1} has {there:,} words, and {wanted:,} are asked of it; ask for "
                "fewer, move the edges, or prepare more text"
            )
        shuffled = generator.permutation(members)
        kept[shuffled[np.cumsum(documents.words[shuffled]) <= wanted]] = True
    return kept
