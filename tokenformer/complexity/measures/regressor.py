"""A regressor from cheap measures and words to what people said about graded text: fitted, saved, and explained.

Linear, so that it can be explained: every feature adds its weight times its standardised value, and every different
word that it knows adds its weight, divided by the square root of their number.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from tokenformer.complexity.features import Features, mean_and_scale
from tokenformer.complexity.measure import Measure, ScoreFunction
from tokenformer.complexity.text.documents import Documents, analysed
from tokenformer.complexity.text.reference import REFERENCE_FOLDER
from tokenformer.config.keys import key
from tokenformer.errors import MissingExtraError, UserError

FORMAT, FORMAT_VERSION = "tokenformer regressor", 1
MOST_DEVIATIONS = 4.0
"""A feature further out than this many standard deviations of the graded texts counts as this far: no extrapolation."""

FEATURES = {
    language: (
        "surprisal",
        "vocabulary_surprisal",
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
"""Language -> every heuristic that holds for it."""


LEAST_TEXTS = 3
"""A word that fewer graded texts have is not looked at."""


@dataclass(frozen=True, eq=False)
class KnownWords:
    """The different known words of n texts, as pairs (text, word); int64[p] both, by text.

    The value of a word in a text is 1 / sqrt(k), k being the number of different known words there: then the values of
    a text are a vector of length 1, long text or short.
    """

    document: np.ndarray
    word: np.ndarray
    documents: int

    @cached_property
    def values(self) -> np.ndarray:
        """float64[p]."""
        counts = np.bincount(self.document, minlength=self.documents)
        return 1 / np.sqrt(counts[self.document])

    def sums(self, weight: np.ndarray) -> np.ndarray:
        """float64[n]: sum of value times weight over the words of each text; `weight` is float64[v]."""
        return np.bincount(self.document, self.values * weight[self.word], self.documents)


def known_words(documents: Documents, number: Mapping[str, int]) -> KnownWords:
    """The words of `documents` that have a number."""
    numbers = documents.of_vocabulary(lambda word: number.get(word, -1))
    used = np.flatnonzero(numbers >= 0)
    is_known = np.isin(documents.word, used)
    size = max(len(number), 1)
    pairs = np.unique(documents.document[is_known] * size + numbers[documents.word[is_known]])
    return KnownWords(pairs // size, pairs % size, len(documents))


def frequent_words(documents: Documents) -> list[str]:
    """The words that at least LEAST_TEXTS texts have, in alphabetical order; numbers are left out."""
    size = max(len(documents.vocabulary), 1)
    pairs = np.unique(documents.document * size + documents.word)
    texts = np.bincount(pairs % size, minlength=len(documents.vocabulary))
    return sorted(
        word for word, count in zip(documents.vocabulary, texts, strict=True) if count >= LEAST_TEXTS and word.isalpha()
    )


@dataclass(frozen=True, eq=False)
class LinearModel:
    """Weights float64[m] of features and float64[v] of words, and the intercept."""

    feature_weight: np.ndarray
    word_weight: np.ndarray
    intercept: float


def fit_linear_model(
    features: np.ndarray,
    words: KnownWords,
    vocabulary: int,
    target: np.ndarray,
    penalty: float,
    word_penalty: float,
    monotone: bool,
) -> LinearModel:
    """Ridge regression of `target` float64[n] on features float64[n, m] and words, each with its own penalty.

    With `monotone` no feature has a negative weight; words may. The feature whose weight is most negative is left out,
    until none is. Needs scikit-learn.
    """
    try:
        from scipy.sparse import csr_matrix, hstack
        from sklearn.linear_model import Ridge
    except ImportError as error:
        raise MissingExtraError("scikit-learn", "curriculum", "Fitting a regressor") from error
    # One penalty for all columns: a column that is made larger needs a smaller weight, and pays less.
    enlarged = np.sqrt(penalty / word_penalty)
    bags = csr_matrix((enlarged * words.values, (words.document, words.word)), (words.documents, vocabulary))
    used, feature_weight = np.arange(features.shape[1]), np.zeros(features.shape[1])
    while used.size + vocabulary:
        columns = hstack([csr_matrix(features[:, used]), bags]).tocsr() if vocabulary else features[:, used]
        model = Ridge(penalty, tol=1e-9).fit(columns, target)
        weight = model.coef_[: used.size]
        if not monotone or weight.min(initial=0.0) >= 0:
            feature_weight[used] = weight
            return LinearModel(feature_weight, enlarged * model.coef_[used.size :], float(model.intercept_))
        used = np.delete(used, weight.argmin())
    return LinearModel(feature_weight, np.zeros(0), float(target.mean()))


@dataclass(frozen=True)
class Regressor:
    """prediction = intercept + sum of weight * clipped (value - mean) / scale + sum of word weights / sqrt(words).

    Attributes:
        language: code.
        unit: of the prediction.
        trained_on: the graded texts, with their licence.
        version: of the fit; goes up when the coefficients change.
        features: names of the m measures.
        mean, scale, weight: of each feature.
        intercept: prediction for a text that is average in every feature and has no known word.
        word_weight: of each known word; none where the regressor was fitted without words. "words" above are those of a
            text that it knows, each counted once.
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
    word_weight: Mapping[str, float] = field(default_factory=dict)
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
        words: bool = True,
        word_penalty: float = 2.5,
        version: int = 1,
    ) -> "Regressor":
        """Ridge regression of `grades` (harder is higher) on standardised features.

        features: measures; None is all of `FEATURES`.
        monotone: no weight is negative, so that no text becomes easier by being harder in one respect. It fits the
        graded texts a little worse, and texts of other kinds better.
        penalty: of the squared weights of features, against the squared errors of all texts.
        words: whether words have weights too, those that at least LEAST_TEXTS of the texts have.
        word_penalty: of the squared weights of words.

        Needs scikit-learn, which the extra `curriculum` installs.
        """
        names = tuple(FEATURES.get(language, ()) if features is None else features)
        if not names:
            raise UserError(f"there are no features for language '{language}'; give measures that hold for it")
        documents = analysed(texts)
        columns = Features.fit(names, language, owner="regressor")(documents)
        mean, scale = mean_and_scale(columns)
        known = frequent_words(documents) if words else []
        number = {word: index for index, word in enumerate(known)}
        model = fit_linear_model(
            _standardised(columns, mean, scale),
            known_words(documents, number),
            len(known),
            np.asarray(grades, dtype=np.float64),
            penalty,
            word_penalty,
            monotone,
        )
        # A text's prediction should not hang on digits that the next version of numpy may round otherwise.
        rounded = ([float(f"{value:.6g}") for value in values] for values in (mean, scale, model.feature_weight))
        mean, scale, weight = (tuple(values) for values in rounded)
        word_weight = {word: float(f"{value:.3g}") for word, value in zip(known, model.word_weight, strict=True)}
        intercept = float(f"{model.intercept:.6g}")
        return cls(language, unit, trained_on, names, mean, scale, weight, intercept, version, word_weight)

    def contributions(self, documents: Documents) -> np.ndarray:
        """float64[n, m]: what each feature adds to the intercept."""
        columns = self._columns(documents)
        return _standardised(columns, np.array(self.mean), np.array(self.scale)) * np.array(self.weight)

    def word_contributions(self, documents: Documents) -> np.ndarray:
        """float64[n]: what the words of each text add together."""
        weights = np.fromiter(self.word_weight.values(), np.float64)
        return known_words(documents, self._number).sums(weights) if weights.size else np.zeros(len(documents))

    @cached_property
    def _number(self) -> dict[str, int]:
        return {word: index for index, word in enumerate(self.word_weight)}

    def __call__(self, documents: Documents) -> np.ndarray:
        """Predictions float64[n]; a doubled text changes as its features do, each by weight / scale."""
        return self.intercept + self.contributions(documents).sum(axis=1) + self.word_contributions(documents)

    def explain(self, text: str) -> str:
        """A table of the features of one text: value, its deviation from graded text, and what it adds.

        Beside what its words add stand those with the greatest weights.
        """
        documents = analysed([text])
        values, added = self._columns(documents)[0], self.contributions(documents)[0]
        deviations = (values - self.mean) / self.scale
        lines = [f"{'feature':<24}{'value':>10}{'deviations':>12}{'adds':>10}"]
        for index in np.argsort(-np.abs(added)).tolist():
            name = self.features[index]
            lines.append(f"{name:<24}{values[index]:>10.3f}{deviations[index]:>+12.2f}{added[index]:>+10.3f}")
        if self.word_weight:
            words = "words" + "".join(f" {word}" for word in self._telling_words(documents))
            lines.append(f"{words:<46}{self.word_contributions(documents)[0]:>+10.3f}")
        lines.append(f"{'intercept':<24}{'':>22}{self.intercept:>+10.3f}")
        lines.append(f"{'prediction':<24}{'':>22}{self(documents)[0]:>+10.3f}  {self.unit}")
        return "\n".join(lines)

    def _telling_words(self, documents: Documents, most: int = 3) -> list[str]:
        """The known words of one text with the greatest weights, either way."""
        known = [word for word in documents.vocabulary if word in self.word_weight]
        return sorted(known, key=lambda word: (-abs(self.word_weight[word]), word))[:most]

    def to_json(self) -> str:
        names = [entry.name for entry in fields(self) if entry.init]
        content = {name: getattr(self, name) for name in names}
        return json.dumps({"format": FORMAT, "format_version": FORMAT_VERSION, **content}, indent=1, ensure_ascii=False)

    @classmethod
    def open(cls, path: Path) -> "Regressor":
        """Raises UserError for a file that is no regressor, or one of another format version."""
        try:
            content = json.loads(Path(path).read_text(encoding="utf-8"))
            kind, version = content.pop("format"), content.pop("format_version")
            parts: dict[str, Any] = {
                key: tuple(value) if isinstance(value, list) else value for key, value in content.items()
            }
            if kind != FORMAT or version != FORMAT_VERSION:
                raise UserError(f"{path} is not a regressor of format version {FORMAT_VERSION}: fit and save it again")
            return cls(**parts)
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise UserError(f"{path} is not a saved regressor ({error})") from error


def _standardised(columns: np.ndarray, mean: np.ndarray, scale: np.ndarray) -> np.ndarray:
    return np.clip((columns - mean) / scale, -MOST_DEVIATIONS, MOST_DEVIATIONS)


@dataclass(frozen=True)
class RegressorParameters:
    """The keys that the user may set."""

    file: str | None = key(None, "a saved regressor; null: the one that the package brings for the language")


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
    source="ridge regression (Hoerl & Kennard 1970) of graded text on the heuristics and on words",
    cost="that of all its features",
    learn=learn_regressor,
    parameters=RegressorParameters,
    is_composite=True,
)
