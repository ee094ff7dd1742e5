"""Documents between two complexities."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from tokenformer.config.parameters import is_number
from tokenformer.curriculum.copies import Documents
from tokenformer.curriculum.levels import levels_of
from tokenformer.errors import UserError


@dataclass(frozen=True)
class WindowParameters:
    """A lower and an upper end, each a number or None for no end; exactly one of the two pairs.

    Attributes:
        thresholds: in units of the measure; a complexity equal to an end is inside.
        percentiles: in percent of the text by tokens.
    """

    thresholds: list[float | None] | None = None
    percentiles: list[float | None] | None = None

    def __post_init__(self):
        owner = "selection 'complexity_window'"
        if (self.thresholds is None) == (self.percentiles is None):
            raise UserError(f"{owner}: give either thresholds or percentiles, a lower and an upper end")
        key = "percentiles" if self.thresholds is None else "thresholds"
        ends = getattr(self, key)
        if not isinstance(ends, list | tuple) or len(ends) != 2 or not all(_is_end(end) for end in ends):
            raise UserError(f"{owner}: {key} must be a lower and an upper end, each a number or null, not {ends!r}")
        low, high = ends
        if low is not None and high is not None and low >= high:
            raise UserError(f"{owner}: {key} must rise, not {ends!r}")
        if key == "percentiles" and any(end is not None and not 0 <= end <= 100 for end in ends):
            raise UserError(f"{owner}: percentiles are percent, from 0 to 100, not {ends!r}")


def _is_end(value: Any) -> bool:
    return value is None or is_number(value)


def in_complexity_window(
    documents: Documents, parameters: WindowParameters, generator: np.random.Generator
) -> np.ndarray:
    """bool[n]: whether each document is inside the window."""
    if parameters.thresholds is not None:
        low, high = parameters.thresholds
        above = documents.complexity >= (-np.inf if low is None else low)
        return above & (documents.complexity <= (np.inf if high is None else high))
    low, high = parameters.percentiles
    ends = [0 if low is None else low, 100 if high is None else high]
    return levels_of(documents.tokens, documents.complexity, None, ends, generator) == 1
