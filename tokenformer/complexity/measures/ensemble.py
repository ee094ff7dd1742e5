"""Several measures as one: the mean of their standardised values."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from tokenformer.complexity.features import Features, mean_and_scale
from tokenformer.complexity.measure import NATURAL, Measure, ScoreFunction
from tokenformer.complexity.text.documents import Documents, analysed, text_batches
from tokenformer.complexity.text.reference import REFERENCE_FOLDER
from tokenformer.config.keys import key
from tokenformer.errors import UserError

NORMS_FILE = REFERENCE_FOLDER / "norms.json"
"""Language -> measure -> mean and standard deviation over passages of many kinds of text."""


@dataclass(frozen=True)
class EnsembleParameters:
    """The keys that the user may set. The default pair is which words a text uses and how many a sentence has."""

    measures: Sequence[str] = key(("surprisal", "sentence_length"), "names of measures")

    def __post_init__(self):
        if not self.measures:
            raise UserError("measure 'ensemble': measures must be a list of names, such as [surprisal, lix]")


@dataclass(frozen=True, eq=False)
class Ensemble:
    """Mean over m measures of (value - mean) / scale, float64[n]; `mean` and `scale` are float64[m].

    Doubling a text changes it by the mean of what it changes in the measures, each divided by its scale.
    """

    features: Features
    mean: np.ndarray
    scale: np.ndarray

    def __call__(self, documents: Documents) -> np.ndarray:
        return ((self.features(documents) - self.mean) / self.scale).mean(axis=1)


def learn_ensemble(texts: Iterable[str], language: str, parameters: EnsembleParameters) -> ScoreFunction:
    """Standardises by the package's norms, and by `texts` what has none: other languages, and measures fitted on them.

    So the scores of English and of Swedish do not depend on what else is scored.
    """
    names = tuple(parameters.measures)
    features = Features.fit(names, language, texts, owner="measure 'ensemble'")
    norms = _norms().get(language, {})
    if all(name in norms for name in names):
        mean, scale = np.array([norms[name] for name in names]).T
    else:
        columns = [features(analysed(batch)) for batch in text_batches(texts)]
        mean, scale = mean_and_scale(np.concatenate([np.empty((0, len(names))), *columns]))
    return Ensemble(features, mean, scale)


@cache
def _norms() -> dict[str, dict[str, list[float]]]:
    return json.loads(NORMS_FILE.read_text(encoding="utf-8"))["norms"]


ENSEMBLE = Measure(
    name="ensemble",
    languages=(NATURAL,),
    unit="standard deviations of passages of many kinds of text",
    source="own; mean of standardised measures, by default of surprisal and the logarithm of sentence length",
    cost="that of its measures",
    learn=learn_ensemble,
    parameters=EnsembleParameters,
    is_composite=True,
)
