"""Chooses the copies of documents that a run is made of, before they are ordered.

The choice is the same for every ordering, so that two runs that differ in their ordering see equal data.
"""

import dataclasses
from dataclasses import dataclass

import numpy as np

from tokenformer.errors import UserError


@dataclass(frozen=True)
class DocumentTable:
    """The documents of a corpus, as far as a plan looks at them.

    Attributes:
        tokens: int64[n], positive; the end-of-document token included.
        words: int64[n], whitespace words.
        complexity: float64[n], in the unit of the measure.
        source: int64[n], index into `source_names`.
        source_names: name of each source.
    """

    tokens: np.ndarray
    words: np.ndarray
    complexity: np.ndarray
    source: np.ndarray
    source_names: tuple[str, ...] = ("text",)

    @property
    def size(self) -> int:
        return self.tokens.size

    def part(self, chosen: np.ndarray) -> "DocumentTable":
        """The documents that `chosen` (a mask, or indices) picks."""
        columns = ("tokens", "words", "complexity", "source")
        return dataclasses.replace(self, **{name: getattr(self, name)[chosen] for name in columns})


@dataclass(frozen=True)
class Copies:
    """The readings of documents that a run is made of, epoch by epoch; a document read twice has two copies.

    Attributes:
        document: int64[m], index of the document.
        epoch: int64[m], ascending.
        tokens: int64[m], tokens of the document.
        complexity: float64[m], complexity of the document.
        source: int64[m], source of the document, an index into `source_names`.
        source_names: name of each source.
    """

    document: np.ndarray
    epoch: np.ndarray
    tokens: np.ndarray
    complexity: np.ndarray
    source: np.ndarray
    source_names: tuple[str, ...] = ("text",)

    @classmethod
    def of(cls, documents: DocumentTable, document: np.ndarray, epoch: np.ndarray) -> "Copies":
        """The copies of these documents (int64[m]) in these epochs (int64[m])."""
        return cls(
            document=document,
            epoch=epoch,
            tokens=documents.tokens[document],
            complexity=documents.complexity[document],
            source=documents.source[document],
            source_names=documents.source_names,
        )

    @property
    def size(self) -> int:
        return self.document.size

    def part(self, chosen: np.ndarray) -> "Copies":
        """The copies that `chosen` (a mask, or indices) picks, in its order."""
        columns = ("document", "epoch", "tokens", "complexity", "source")
        return dataclasses.replace(self, **{name: getattr(self, name)[chosen] for name in columns})


@dataclass(frozen=True)
class Budget:
    """How much a run reads.

    Attributes:
        size: tokens, which the run has to reach, or words, which it must not exceed.
        unit: "tokens" or "words".
    """

    size: float
    unit: str = "tokens"

    def amounts(self, documents: DocumentTable) -> np.ndarray:
        """int64[n]: each document in the unit of the budget."""
        return documents.tokens if self.unit == "tokens" else documents.words

    def documents_until(self, cumulative: np.ndarray, left: float) -> int:
        """How many documents fill what is left, given the running sum of their amounts."""
        if self.unit == "tokens":
            return int(np.searchsorted(cumulative, left)) + 1
        return int(np.searchsorted(cumulative, left, side="right"))


def choose_copies(
    documents: DocumentTable, weight: np.ndarray, budget: Budget, generator: np.random.Generator
) -> Copies:
    """Copies of documents that fill the budget: in tokens, or a part of one document more; in words, or as much less.

    An epoch holds every document `weight` times. Of a fractional weight the documents that occur once more are drawn
    anew for each epoch such that, over the epochs, all come equally often: floor(epochs * weight) times or once more.
    The last epoch, where it is not whole, is a random subset.

    Args:
        weight: float64[n], not negative, some positive.

    Raises UserError when the documents with weight have none of what the budget counts.
    """
    amounts = budget.amounts(documents)
    if not amounts @ weight > 0:
        raise UserError(f"the documents that are left to read have no {budget.unit}")
    phase = np.empty(documents.size)
    for value in np.unique(weight):
        same = np.flatnonzero(weight == value)
        phase[same] = (generator.permutation(same.size) + generator.random()) / same.size
    chosen, epoch, taken = [], 0, 0
    while taken < budget.size:
        repeats = np.floor((epoch + 1) * weight + phase) - np.floor(epoch * weight + phase)
        copies = np.repeat(np.arange(documents.size), repeats.astype(np.int64))
        size = int(amounts[copies].sum())
        if taken + size > budget.size:
            copies = generator.permutation(copies)
            copies = np.sort(copies[: budget.documents_until(np.cumsum(amounts[copies]), budget.size - taken)])
        chosen.append(copies)
        taken += size
        epoch += 1
    if not chosen:
        return Copies.of(documents, np.zeros(0, np.int64), np.zeros(0, np.int64))
    return Copies.of(documents, np.concatenate(chosen), np.repeat(np.arange(epoch), [part.size for part in chosen]))
