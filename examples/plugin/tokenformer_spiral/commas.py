"""A measure of one's own."""

import numpy as np

from tokenformer.complexity.measure import NATURAL, formula_measure
from tokenformer.complexity.text.documents import Documents


def commas(documents: Documents) -> np.ndarray:
    """Commas by words of n texts, float64[n]; 0 for a blank text. Doubling a text does not change it."""
    counts = np.array([text.count(",") for text in documents.texts], dtype=np.float64)
    return counts / np.maximum(documents.word_counts, 1)


COMMAS = formula_measure(commas, (NATURAL,), unit="commas a word", source="own; an example")
