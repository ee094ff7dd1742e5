"""Stages of rising difficulty, one after the other, with or without easier text in the later ones."""

from dataclasses import dataclass

import numpy as np

from tokenformer.config.parameters import true_or_false, whole_number
from tokenformer.curriculum.copies import Copies
from tokenformer.curriculum.levels import check_edges, equal_parts, levels_of


@dataclass(frozen=True)
class StagedParameters:
    """A stage for each level of difficulty (Bengio et al. 2009; with `revisit` much like Spitkovsky et al. 2010).

    Attributes:
        stages: levels of equal size, where neither thresholds nor percentiles are given.
        thresholds: complexities in units of the measure at which the next level begins.
        percentiles: the same in percent of the text.
        revisit: whether a copy may also be read in any later stage, all with equal chance, and not in its own alone.
    """

    stages: int = 3
    thresholds: list[float] | None = None
    percentiles: list[float] | None = None
    revisit: bool = False

    def __post_init__(self):
        owner = "ordering 'staged'"
        whole_number(owner, "stages", self.stages, 1)
        true_or_false(owner, "revisit", self.revisit)
        check_edges(owner, self.thresholds, self.percentiles)


def staged_order(copies: Copies, parameters: StagedParameters, generator: np.random.Generator) -> np.ndarray:
    """Copies of all epochs stage by stage; in a stage epoch after epoch, each in random order."""
    percentiles = parameters.percentiles
    if parameters.thresholds is None and percentiles is None:
        percentiles = equal_parts(parameters.stages)
    edges = parameters.thresholds if percentiles is None else percentiles
    stage = levels_of(copies.tokens, copies.complexity, parameters.thresholds, percentiles, generator)
    if parameters.revisit:
        stage = stage + (generator.random(copies.size) * (len(edges) + 1 - stage)).astype(np.int64)
    return np.lexsort((generator.random(copies.size), copies.epoch, stage))
