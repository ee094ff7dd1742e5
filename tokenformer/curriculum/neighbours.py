"""The texts of a source in the order of its files, as far as a curriculum leaves them free."""

import numpy as np

from tokenformer.curriculum.levels import equal_parts, levels_of


def with_neighbours_kept(
    order: np.ndarray, tokens: np.ndarray, complexity: np.ndarray, source: np.ndarray, levels: int
) -> np.ndarray:
    """The order with the documents of one source and one level of difficulty sorted as they stand in their files.

    Which source and which level is read when does not change, and so neither does the curriculum. What is read for the
    second time comes after all that is read for the first.

    Args:
        order: int64[m], document read at each position.
        tokens, complexity, source: int64[n], float64[n] and int64[n], of each document.
        levels: number of levels of equal size, by complexity.

    Returns:
        int64[m], a permutation of `order`.
    """
    # Which of equally complex texts falls on which side of an edge must not depend on the order.
    by_document = np.argsort(order, kind="stable")
    documents = order[by_document]
    time = np.arange(order.size) - np.searchsorted(documents, documents)
    edges = equal_parts(levels)
    level = levels_of(tokens[documents], complexity[documents], None, edges, np.random.default_rng(0))
    kept = np.empty_like(order)
    read_as_ordered = np.lexsort((by_document, level, source[documents]))
    read_as_written = np.lexsort((documents, time, level, source[documents]))
    kept[by_document[read_as_ordered]] = documents[read_as_written]
    return kept
