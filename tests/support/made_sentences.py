"""Sentences of a few English and Swedish words, drawn at random."""

import numpy as np

WORDS = [
    *("the", "a", "old", "young", "cat", "dog", "sees", "see", "saw", "near", "far", "and", "or", "not"),
    *("barn", "hus", "ett", "en", "gammal", "ung"),
]


def sentences(count: int, seed: int) -> list[str]:
    random = np.random.default_rng(seed)
    return [" ".join(random.choice(WORDS, size=random.integers(3, 9))) + "." for _ in range(count)]
