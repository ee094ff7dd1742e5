"""So many words of every difficulty."""

from dataclasses import dataclass

import numpy as np

from tokenformer.config.building import Checked
from tokenformer.config.keys import key
from tokenformer.curriculum.budget import number_of_words
from tokenformer.curriculum.copies import Documents
from tokenformer.curriculum.levels import equal_parts, levels_of, one_kind_of_edges
from tokenformer.errors import UserError


@dataclass(frozen=True)
class WordBins(Checked):
    """Bins of difficulty, easiest first, and how much of each is read: a random part, as many words as fit."""

    words: list[int | str | None] = key([], "words of each bin that are kept at most, as in 2M; null: the whole bin")
    thresholds: list[float] | None = key(None, "complexities between the bins, one fewer than bins", rising=True)
    percentiles: list[float] | None = key(
        None, "the same in percent of the text; without both, bins of equal size", least=0, most=100, rising=True
    )

    name = "word_bins"

    def __post_init__(self):
        super().__post_init__()
        one_kind_of_edges(self.name, self.thresholds, self.percentiles)
        if not self.words:
            raise UserError(f"{self.name}: words must be a list with a number (or null) for each bin, not []")
        edges = self.thresholds if self.thresholds is not None else self.percentiles
        if edges is not None and len(edges) != len(self.words) - 1:
            raise UserError(
                f"{self.name}: {len(edges)} edges make {len(edges) + 1} bins, and words has {len(self.words)} numbers"
            )
        for words in self.words:
            if words is not None:
                number_of_words(words, f"{self.name}: words")

    def keep(self, documents: Documents, generator: np.random.Generator) -> np.ndarray:
        """As `Selection.keep`.

        Raises UserError for a bin that has fewer words than are asked of it.
        """
        percentiles = self.percentiles
        if self.thresholds is None and percentiles is None:
            percentiles = equal_parts(len(self.words))
        bins = levels_of(documents.tokens, documents.complexity, self.thresholds, percentiles, generator)
        kept = np.zeros(documents.size, dtype=bool)
        for number, asked in enumerate(self.words):
            members = np.flatnonzero(bins == number)
            if asked is None:
                kept[members] = True
                continue
            wanted, there = number_of_words(asked, "words"), int(documents.words[members].sum())
            if wanted > there:
                raise UserError(
                    f"selection 'word_bins': bin {number + 1} has {there:,} words, and {wanted:,} are asked of it; ask "
                    "for fewer, move the edges, or prepare more text"
                )
            shuffled = generator.permutation(members)
            kept[shuffled[np.cumsum(documents.words[shuffled]) <= wanted]] = True
        return kept
