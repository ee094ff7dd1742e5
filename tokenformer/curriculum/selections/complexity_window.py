"""Documents between two complexities."""

from dataclasses import dataclass

import numpy as np

from tokenformer.config.building import Checked
from tokenformer.config.keys import key
from tokenformer.curriculum.copies import Documents
from tokenformer.curriculum.levels import levels_of
from tokenformer.errors import UserError


@dataclass(frozen=True)
class ComplexityWindow(Checked):
    """A lower and an upper end, each a number or None for no end; exactly one of the two pairs."""

    thresholds: list[float | None] | None = key(None, "the two ends in units of the measure; an end itself is inside")
    percentiles: list[float | None] | None = key(None, "the two ends in percent of the text", least=0, most=100)

    name = "complexity_window"

    def __post_init__(self):
        super().__post_init__()
        if (self.thresholds is None) == (self.percentiles is None):
            raise UserError(f"{self.name}: give either thresholds or percentiles, a lower and an upper end")
        key, ends = ("percentiles", self.percentiles) if self.thresholds is None else ("thresholds", self.thresholds)
        if len(ends) != 2:
            raise UserError(f"{self.name}: {key} must be a lower and an upper end, each a number or null, not {ends!r}")
        low, high = ends
        if low is not None and high is not None and low >= high:
            raise UserError(f"{self.name}: {key} must rise, not {ends!r}")

    def keep(self, documents: Documents, generator: np.random.Generator) -> np.ndarray:
        """As `Selection.keep`."""
        if self.thresholds is not None:
            low, high = self.thresholds
            above = documents.complexity >= (-np.inf if low is None else low)
            return above & (documents.complexity <= (np.inf if high is None else high))
        low, high = self.percentiles
        ends = [0 if low is None else low, 100 if high is None else high]
        return levels_of(documents.tokens, documents.complexity, None, ends, generator) == 1
