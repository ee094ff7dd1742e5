"""The measure of complexity: its name, its languages, and how it scores."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tokenformer.complexity.text.documents import Documents, analysed, text_batches
from tokenformer.complexity.text.language import ARTIFICIAL, known_language
from tokenformer.complexity.text.words import normalise
from tokenformer.config.building import build
from tokenformer.config.registry import Registry
from tokenformer.errors import UserError

ScoreFunction = Callable[[Documents], np.ndarray]

Learn = Callable[[Iterable[str], str, Any], ScoreFunction]

NATURAL = "natural"
"""Stands in `Measure.languages` for every language that people speak."""


@dataclass(frozen=True)
class NoParameters:
    """Parameters of measures that have nothing to set."""


@dataclass(frozen=True)
class Scorer:
    """A measure that is ready to score: a pure function of the texts, and of each text alone.

    `function` gives one finite number for each text; harder is higher.
    """

    function: ScoreFunction

    def __call__(self, texts: Iterable[str]) -> np.ndarray:
        """Scores float64[n] of n texts, in the measure's unit; memory does not grow with the texts."""
        refuse_single_string(texts)
        scores = [self.on(analysed(batch)) for batch in text_batches(texts)]
        return np.concatenate([np.empty(0), *scores])

    def on(self, documents: Documents) -> np.ndarray:
        """Scores float64[n] of n texts that are taken apart already, which several measures can share."""
        return np.asarray(self.function(documents), dtype=np.float64)


@dataclass(frozen=True)
class Measure:
    """How hard texts are, as one number each; harder is higher for every measure.

    Every measure is finite for any text, equal for the NFC and NFD forms of a text, and keeps its value, within the
    tolerance stated in its docstring, when a text is followed by a copy of itself after a blank line.

    Attributes:
        name: key in the registry.
        languages: codes of the languages that it holds for: "en", "sv", those of `ARTIFICIAL`, or `NATURAL`.
        unit: of the scores.
        source: paper and equation.
        cost: what scoring costs, in words.
        learn: (normalised training texts, language, parameters) -> function that scores documents. Measures given by
            a formula ignore the training texts (`formula_measure`).
        parameters: dataclass of what the user may set.
        is_composite: whether it is made of other measures.
        needs_model: whether it needs a parser or a trained model beside the text.
    """

    name: str
    languages: tuple[str, ...]
    unit: str
    source: str
    cost: str
    learn: Learn
    parameters: type = NoParameters
    is_composite: bool = False
    needs_model: bool = False

    def holds_for(self, language: str) -> bool:
        return language in self.languages or (NATURAL in self.languages and language not in ARTIFICIAL)

    def fit(self, train_texts: Iterable[str], language: str, **parameters: Any) -> Scorer:
        """Makes the measure ready for `language`, learning from `train_texts` what has to be learned.

        `train_texts` may be read several times, or not at all: a list, or what reads them anew (no generator).
        Raises UserError where the measure does not hold for the language, and for unknown or invalid parameters.
        """
        language = known_language(language)
        self.check_language(language)
        settings = build(parameters, self.parameters, "", f"measure '{self.name}'")
        refuse_single_string(train_texts)
        return Scorer(self.learn(NormalisedTexts(train_texts), language, settings))

    def __call__(self, texts: Sequence[str], language: str) -> np.ndarray:
        """Scores float64[n] of n texts; a measure that has to be fitted is fitted on these texts."""
        return self.fit(texts, language)(texts)

    def check_language(self, language: str) -> None:
        """Raises UserError, with the measures that do, where the measure does not hold for `language`, a code."""
        if self.holds_for(language):
            return
        alternatives = [other.name for other in MEASURES.values() if other.holds_for(language)]
        raise UserError(
            f"measure '{self.name}' does not hold for language '{language}' (only for {', '.join(self.languages)}); "
            f"measures that do: {', '.join(alternatives)}"
        )


MEASURES: Registry[Measure] = Registry("measure")
"""Name -> measure. `tokenformer.complexity.scoring` enters them; a measure that is made of others finds them here."""


@dataclass(frozen=True)
class NormalisedTexts:
    """Texts in the form that is measured, made each time that they are read: only measures that learn read them."""

    texts: Iterable[str]

    def __iter__(self) -> Iterator[str]:
        return map(normalise, self.texts)


def formula_measure(
    function: ScoreFunction, languages: tuple[str, ...], unit: str, source: str, cost: str = "one pass over the text"
) -> Measure:
    """The measure that scores by `function`, has its name, and learns nothing."""
    return Measure(function.__name__, languages, unit, source, cost, lambda texts, language, parameters: function)


def refuse_single_string(texts: Iterable[str]) -> None:
    if isinstance(texts, str):
        raise UserError("scores are of a list of texts, and this is a single string: put it in brackets, [text]")
