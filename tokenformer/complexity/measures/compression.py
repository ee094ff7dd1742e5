"""How little a text can be compressed."""

import zlib

import numpy as np

from tokenformer.complexity.measure import ARTIFICIAL, NATURAL, formula_measure
from tokenformer.complexity.text.documents import Documents

WINDOW = 1024
LEVEL = 6


def compression(documents: Documents) -> np.ndarray:
    """Compressed bytes per byte of text, float64[n], by zlib on windows of 1024 bytes; 0 for an empty text.

    Always of windows of one size, because longer ones compress better whatever they say. The windows follow one
    another from the start, and the last ends with the text; a shorter text is repeated until it fills a window, which
    makes short texts easy. Doubling a text cuts the copy elsewhere: texts of at least four windows change by less than
    a tenth.
    """
    return np.array([_mean_ratio(text.encode("utf-8")) for text in documents.texts])


def _mean_ratio(data: bytes) -> float:
    if not data:
        return 0.0
    if len(data) < WINDOW:
        data = (data * (WINDOW // len(data) + 1))[:WINDOW]
    starts = [*range(0, len(data) - WINDOW, WINDOW), len(data) - WINDOW]
    compressed = sum(len(zlib.compress(data[start : start + WINDOW], LEVEL)) for start in starts)
    return compressed / (WINDOW * len(starts))


COMPRESSION = formula_measure(
    compression,
    (NATURAL, *ARTIFICIAL),
    unit="compressed bytes per byte",
    source="compression ratio as difficulty: arXiv 2506.11300 (2025); windows of one size are our own",
    cost="zlib level 6, about 40 MB a second and core",
)
