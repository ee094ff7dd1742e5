"""Levels of difficulty: text cut by complexity, at thresholds of the measure or at shares of the text."""

import numpy as np

from tokenformer.errors import UserError


def one_kind_of_edges(owner: str, thresholds: list[float] | None, percentiles: list[float] | None) -> None:
    """Raises UserError for edges of levels that are given in both ways, or that are an empty list."""
    if thresholds is not None and percentiles is not None:
        raise UserError(f"{owner}: give thresholds or percentiles, not both")
    for key, edges in (("thresholds", thresholds), ("percentiles", percentiles)):
        if edges is not None and not edges:
            raise UserError(f"{owner}: {key} is an empty list; it must be a list of rising numbers, or null")


def levels_of(
    tokens: np.ndarray,
    complexity: np.ndarray,
    thresholds: list[float] | None,
    percentiles: list[float] | None,
    generator: np.random.Generator,
) -> np.ndarray:
    """int64[m]: the level of each text, from 0, the easiest; one more level than there are edges.

    A text belongs to the first edge that it does not exceed. Thresholds are compared with its complexity, percentiles
    with the tokens (in percent of all) up to and with it when texts are ranked by complexity, equals at random.

    Args:
        tokens: int64[m].
        complexity: float64[m].
        thresholds, percentiles: rising edges; exactly one of the two is given.
    """
    if thresholds is not None:
        return np.searchsorted(np.asarray(thresholds, dtype=np.float64), complexity, side="left")
    levels = np.empty(tokens.size, dtype=np.int64)
    ranked = np.lexsort((generator.random(tokens.size), complexity))
    cumulative = np.cumsum(tokens[ranked])
    edges = np.asarray(percentiles, dtype=np.float64) / 100 * (cumulative[-1] if cumulative.size else 0)
    levels[ranked] = np.searchsorted(edges, cumulative, side="left")
    return levels


def equal_parts(levels: int) -> list[float]:
    """Percentiles that cut text into so many levels of equal size."""
    return [100 * level / levels for level in range(1, levels)]


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
