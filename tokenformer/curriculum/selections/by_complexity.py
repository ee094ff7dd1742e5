"""Selections by complexity: between two ends, without the easiest or the hardest, or so many words of every bin."""

from dataclasses import dataclass

import numpy as np

from tokenformer.config.building import Checked
from tokenformer.config.keys import key
from tokenformer.curriculum.budget import number_of_words
from tokenformer.curriculum.copies import DocumentTable
from tokenformer.curriculum.levels import equal_parts, levels_of, one_kind_of_edges
from tokenformer.errors import UserError


@dataclass(frozen=True)
class ComplexityWindow(Checked):
    """Documents between two complexities: a lower and an upper end, None for no end; exactly one of the two pairs."""

    thresholds: list[float | None] | None = key(None, "the two ends in units of the measure; an end itself is inside")
    percentiles: list[float | None] | None = key(None, "the two ends in percent of the text", least=0, most=100)

    name = "complexity_window"

    def __post_init__(self):
        super().__post_init__()
        if (self.thresholds is None) == (self.percentiles is None):
            raise UserError(f"{self.name}: give either thresholds or percentiles, a lower and an upper end")
        key, ends = ("percentiles", self.percentiles) if self.thresholds is None else ("thresholds", self.thresholds)
        if ends is None or len(ends) != 2:
            raise UserError(f"{self.name}: {key} must be a lower and an upper end, each a number or null, not {ends!r}")
        low, high = ends
        if low is not None and high is not None and low >= high:
            raise UserError(f"{self.name}: {key} must rise, not {ends!r}")

    def keep(self, documents: DocumentTable, generator: np.random.Generator) -> np.ndarray:
        """As `Selection.keep`."""
        if self.thresholds is not None:
            low, high = self.thresholds
            above = documents.complexity >= (-np.inf if low is None else low)
            return above & (documents.complexity <= (np.inf if high is None else high))
        low, high = self.percentiles or (None, None)
        ends = [0 if low is None else low, 100 if high is None else high]
        return levels_of(documents.tokens, documents.complexity, None, ends, generator) == 1


@dataclass(frozen=True)
class Prune(Checked):
    """Drops text (as Marion et al. 2023, arXiv:2309.04564, do by the perplexity of a reference model)."""

    head: float = key(0.0, "share of the text, by tokens, that is dropped at the easy end", least=0, most=1)
    tail: float = key(0.0, "share that is dropped at the hard end; head and tail together less than 1", least=0, most=1)
    by_source: bool = key(False, "true: every source loses these shares of its own text, so that none is pruned away")

    name = "prune"

    def __post_init__(self):
        super().__post_init__()
        if not 0 < self.head + self.tail < 1:
            raise UserError(
                f"{self.name}: head and tail must together be above 0 and below 1, not {self.head + self.tail}"
            )

    def keep(self, documents: DocumentTable, generator: np.random.Generator) -> np.ndarray:
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


@dataclass(frozen=True)
class WordBins(Checked):
    """Bins of difficulty, easiest first, and how much of each is read: a random part, as many words as fit."""

    words: list[int | str | None] = key(
        [], "largest number of words that is kept of each bin, such as 2M; null: the whole bin"
    )
    thresholds: list[float] | None = key(None, "complexities between the bins, one fewer than bins", rising=True)
    percentiles: list[float] | None = key(
        None, "as thresholds, in percent of the text; without both, bins of equal size", least=0, most=100, rising=True
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

    def keep(self, documents: DocumentTable, generator: np.random.Generator) -> np.ndarray:
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
