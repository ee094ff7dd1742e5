"""A regressor from cheap measures to what people said about graded text: fitted, saved, and explained.

Linear, so that it can be explained: every feature adds its weight times its standardised value.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy as np

from tokenformer.curriculum.documents import Documents, analysed, text_batches
from tokenformer.curriculum.features import Features, mean_and_scale
from tokenformer.curriculum.measure import Measure, ScoreFunction
from tokenformer.curriculum.reference import REFERENCE_FOLDER
from tokenformer.errors import MissingExtraError, UserError

FORMAT, FORMAT_VERSION = "tokenformer regressor", 1
MOST_DEVIATIONS = 4.0
"""A feature further out than this many standard deviations of the graded texts counts as this far: no extrapolation."""

FEATURES = {
    language: (
        "surprisal",
        "lix",
        *formulas,
        "sentence_length",
        "longest_sentence",
        "word_length",
        "word_rarity",
        "vocabulary_rarity",
        "rare_words",
        "mattr",
        "mtld",
        "compression",
    )
    for language, formulas in {"en": ("flesch_kincaid", "coleman_liau"), "sv": ("flesch_kincaid_swedish",)}.items()
}
"""By language: every heuristic that holds for it."""


@dataclass(frozen=True)
class Regressor:
    """prediction = intercept + sum of weight * clipped (value - mean) / scale.

    Attributes:
        language: code.
        unit: of the prediction.
        trained_on: the graded texts, with their licence.
        version: of the fit; goes up when the coefficients change.
        features: names of the m measures.
        mean, scale, weight: of each feature.
        intercept: prediction for a text that is average in every feature.
    """

    language: str
    unit: str
    trained_on: str
    features: tuple[str, ...]
    mean: tuple[float, ...]
    scale: tuple[float, ...]
    weight: tuple[float, ...]
    intercept: float
    version: int = 1
    _columns: Features = field(init=False, repr=False, compare=False)

    def __post_init__(self):
        object.__setattr__(self, "_columns", Features.fit(self.features, self.language, owner="regressor"))

    @classmethod
    def fit(
        cls,
        texts: Sequence[str],
        grades: Sequence[float],
        language: str,
        unit: str,
        trained_on: str,
        features: Sequence[str] | None = None,
        monotone: bool = True,
        penalty: float = 10.0,
        version: int = 1,
    ) -> "Regressor":
        """Ridge regression of `grades` (harder is higher) on standardised features.

        features: measures; None is all of `FEATURES`.
        monotone: no weight is negative, so that no text becomes easier by being harder in one respect. It fits the
        graded texts a little worse, and texts of other kinds better.
        penalty: of the squared weights, against the squared errors of all texts.

        Needs scikit-learn, which the extra `curriculum` installs.
        """
        names = tuple(FEATURES.get(language, ()) if features is None else features)
        if not names:
            raise UserError(f"there are no features for language '{language}'; give measures that hold for it")
        columns = _columns(Features.fit(names, language, owner="regressor"), texts)
        mean, scale = mean_and_scale(columns)
        standardised = _standardised(columns, mean, scale)
        weight, intercept = _ridge(standardised, np.asarray(grades, dtype=np.float64), penalty, monotone)
        # A text's prediction should not hang on digits that the next version of numpy may round otherwise.
        rounded = ([float(f"{value:.6g}") for value in values] for values in (mean, scale, weight))
        mean, scale, weight = (tuple(values) for values in rounded)
        return cls(language, unit, trained_on, names, mean, scale, weight, float(f"{intercept:.6g}"), version)

    def contributions(self, documents: Documents) -> np.ndarray:
        """float64[n, m]: what each feature adds to the intercept."""
        columns = self._columns(documents)
        return _standardised(columns, np.array(self.mean), np.array(self.scale)) * np.array(self.weight)

    def __call__(self, documents: Documents) -> np.ndarray:
        """Predictions float64[n]; a doubled text changes as its features do, each by weight / scale."""
        return self.intercept + self.contributions(documents).sum(axis=1)

    def explain(self, text: str) -> str:
        """A table of the features of one text: value, its deviation from graded text, and what it adds."""
        documents = analysed([text])
        values, added = self._columns(documents)[0], self.contributions(documents)[0]
        deviations = (values - self.mean) / self.scale
        lines = [f"{'feature':<24}{'value':>10}{'deviations':>12}{'adds':>10}"]
        for index in np.argsort(-np.abs(added)).tolist():
            name = self.features[index]
            lines.append(f"{name:<24}{values[index]:>10.3f}{deviations[index]:>+12.2f}{added[index]:>+10.3f}")
        lines.append(f"{'intercept':<24}{'':>22}{self.intercept:>+10.3f}")
        lines.append(f"{'prediction':<24}{'':>22}{self(documents)[0]:>+10.3f}  {self.unit}")
        return "\n".join(lines)

    def to_json(self) -> str:
        content = {key: value for key, value in asdict(self).items() if not key.startswith("_")}
        return json.dumps({"format": FORMAT, "format_version": FORMAT_VERSION, **content}, indent=1, ensure_ascii=False)

    @classmethod
    def open(cls, path: Path) -> "Regressor":
        """Raises UserError for a file that is no regressor, or one of another format version."""
        try:
            content = json.loads(Path(path).read_text(encoding="utf-8"))
            kind, version = content.pop("format"), content.pop("format_version")
            parts = {key: tuple(value) if isinstance(value, list) else value for key, value in content.items()}
            if kind != FORMAT or version != FORMAT_VERSION:
                raise UserError(f"{path} is not a regressor of format version {FORMAT_VERSION}: fit and save it again")
            return cls(**parts)
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise UserError(f"{path} is not a saved regressor ({error})") from error


def _ridge(columns: np.ndarray, target: np.ndarray, penalty: float, monotone: bool) -> tuple[np.ndarray, float]:
    """Weights float64[m] and intercept."""
    try:
        from sklearn.linear_model import Ridge
    except ImportError as error:
        raise MissingExtraError("scikit-learn", "curriculum", "Fitting a regressor") from error
    model = Ridge(penalty, positive=monotone).fit(columns, target)
    return model.coef_, float(model.intercept_)


def _columns(features: Features, texts: Sequence[str]) -> np.ndarray:
    return np.concatenate([features(analysed(batch)) for batch in text_batches(texts)])


def _standardised(columns: np.ndarray, mean: np.ndarray, scale: np.ndarray) -> np.ndarray:
    return np.clip((columns - mean) / scale, -MOST_DEVIATIONS, MOST_DEVIATIONS)


@dataclass(frozen=True)
class RegressorParameters:
    """What the user may set.

    Attributes:
        file: a saved regressor; None: the one that comes with the package for the language.
    """

    file: str | None = None


@lru_cache(maxsize=8)
def built_in_regressor(language: str) -> Regressor:
    return Regressor.open(REFERENCE_FOLDER / f"regressor_{language}.json")


def learn_regressor(texts: Iterable[str], language: str, parameters: RegressorParameters) -> ScoreFunction:
    if parameters.file is None:
        return built_in_regressor(language)
    regressor = Regressor.open(Path(parameters.file))
    if regressor.language != language:
        raise UserError(f"{parameters.file} is a regressor for language '{regressor.language}', not '{language}'")
    return regressor


REGRESSOR = Measure(
    name="regressor",
    languages=tuple(FEATURES),
    unit="grade",
    source="ridge regression (Hoerl & Kennard 1970) of graded text on the heuristics",
    cost="that of all its features",
    learn=learn_regressor,
    parameters=RegressorParameters,
    is_composite=True,
)
