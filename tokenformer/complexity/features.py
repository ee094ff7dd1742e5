"""Measures as columns of numbers that can be added: on a scale where equal steps mean about the same."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from tokenformer.complexity.measure import MEASURES, Scorer
from tokenformer.complexity.text.documents import Documents
from tokenformer.errors import UserError

LOGARITHMIC = ("sentence_length", "longest_sentence", "mtld")
"""Measures whose steps are ratios: one word more matters less the longer a sentence is. At least 0.5 is taken."""


@dataclass(frozen=True)
class Features:
    """Some measures, ready to score.

    Attributes:
        names: of the m measures.
        scorers: one each.
    """

    names: tuple[str, ...]
    scorers: tuple[Scorer, ...]

    @classmethod
    def fit(cls, names: Sequence[str], language: str, train_texts: Iterable[str] = (), owner: str = "") -> "Features":
        """`owner` is what messages call the one who asks for these measures ("measure 'ensemble'")."""
        for name in names:
            if name not in MEASURES or MEASURES[name].is_composite:
                simple = ", ".join(measure.name for measure in MEASURES.values() if not measure.is_composite)
                raise UserError(f"{owner}: '{name}' is not among the measures that it can be made of: {simple}")
        return cls(tuple(names), tuple(MEASURES[name].fit(train_texts, language) for name in names))

    def __call__(self, documents: Documents) -> np.ndarray:
        """float64[n, m]: a column a measure, those of `LOGARITHMIC` as natural logarithms."""
        columns = [scorer.on(documents) for scorer in self.scorers]
        for index, name in enumerate(self.names):
            if name in LOGARITHMIC:
                columns[index] = np.log(np.maximum(columns[index], 0.5))
        return np.stack(columns, axis=1) if columns else np.empty((len(documents), 0))


def mean_and_scale(columns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of each column, float64[m] both; 0 and 1 where there is nothing to tell them by."""
    if not len(columns):
        return np.zeros(columns.shape[1]), np.ones(columns.shape[1])
    scale = columns.std(axis=0)
    return columns.mean(axis=0), np.where(scale > 0, scale, 1.0)
