"""A measure of one's own."""

import numpy as np

from tokenformer.complexity.measure import NATURAL, Measure, formula
from tokenformer.complexity.text.documents import Documents


def commas_per_word(documents: Documents) -> np.ndarray:
    """Commas by words of n texts, float64[n]; 0 for a blank text. Doubling a text does not change it."""
    commas = np.array([text.count(",") for text in documents.texts], dtype=np.float64)
    return commas / np.maximum(documents.word_counts, 1)


COMMAS = Measure(
    name="commas",
    languages=(NATURAL,),
    unit="commas a word",
    source="own; an example",
    cost="one pass over the text",
    learn=formula(commas_per_word),
)
