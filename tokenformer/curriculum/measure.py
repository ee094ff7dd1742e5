"""What a complexity measure is."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tokenformer.curriculum.parameters import NoParameters, filled_parameters
from tokenformer.curriculum.text import normalise
from tokenformer.errors import UserError

ScoreFunction = Callable[[list[str]], np.ndarray]


@dataclass(frozen=True)
class Scorer:
    """A measure that is ready to score: a pure function of the texts, and of each text alone.

    `function` takes normalised texts and gives one finite number for each; harder is higher.
    """

    function: ScoreFunction

    def __call__(self, texts: Sequence[str]) -> np.ndarray:
        """Scores float64[n] of n texts, in the measure's unit."""
        return np.asarray(self.function(_normalised(texts)), dtype=np.float64)


@dataclass(frozen=True)
class Measure:
    """How hard texts are, as one number each; harder is higher for every measure.

    Every measure is finite for any text, equal for the NFC and NFD forms of a text, and keeps its value, within the
    tolerance stated in its docstring, when a text is followed by a copy of itself after a blank line.

    Attributes:
        name: key in the registry.
        languages: codes of the languages that it holds for ("en", "sv"); empty: any language that has words.
        unit: of the scores.
        source: paper and equation.
        cost: what scoring costs, in words.
        learn: (normalised training texts, language, parameters) -> function that scores normalised texts. Measures
            given by a formula ignore the training texts (`formula`).
        parameters: dataclass of what the user may set.
    """

    name: str
    languages: tuple[str, ...]
    unit: str
    source: str
    cost: str
    learn: Callable[[list[str], str, Any], ScoreFunction]
    parameters: type = NoParameters

    def holds_for(self, language: str) -> bool:
        return not self.languages or language in self.languages

    def fit(self, train_texts: Sequence[str], language: str, **parameters: Any) -> Scorer:
        """Makes the measure ready for `language`, learning from `train_texts` what has to be learned.

        Raises UserError where the measure does not hold for the language, and for unknown or invalid parameters.
        """
        self._check_language(language)
        settings = filled_parameters(f"measure '{self.name}'", self.parameters, parameters)
        return Scorer(self.learn(_normalised(train_texts), language, settings))

    def __call__(self, texts: Sequence[str], language: str) -> np.ndarray:
        """Scores float64[n] of n texts; a measure that has to be fitted is fitted on these texts."""
        return self.fit(texts, language)(texts)

    def _check_language(self, language: str) -> None:
        if self.holds_for(language):
            return
        # Here and not at the top: the registry is built from the modules that import this one.
        from tokenformer.curriculum.scoring import MEASURES

        alternatives = [other.name for other in MEASURES.values() if other.holds_for(language)]
        raise UserError(
            f"measure '{self.name}' does not hold for language '{language}' (only for {', '.join(self.languages)}); "
            f"measures that do: {', '.join(alternatives)}"
        )


def formula(function: ScoreFunction) -> Callable[[list[str], str, Any], ScoreFunction]:
    """For `Measure.learn`: a measure that learns nothing and scores by `function`."""

    def learn(train_texts: list[str], language: str, parameters: Any) -> ScoreFunction:
        return function

    return learn


def _normalised(texts: Sequence[str]) -> list[str]:
    if isinstance(texts, str):
        raise UserError("scores are of a list of texts, and this is a single string: put it in brackets, [text]")
    return [normalise(text) for text in texts]
