"""How far apart words stand that depend on one another, by a parser (spaCy, extra `parser`)."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from tokenformer.complexity.measure import NATURAL, Measure, ScoreFunction
from tokenformer.complexity.text.documents import Documents
from tokenformer.complexity.text.words import paragraphs
from tokenformer.config.keys import key
from tokenformer.errors import MissingExtraError, UserError

PIPELINES = {"en": "en_core_web_sm", "sv": "sv_core_news_sm"}
"""The spaCy pipeline of each language, where none is named."""

LONGEST_PARSED = 100_000
"""Characters; a longer paragraph is cut, because a parser's memory grows with what it parses."""


@dataclass(frozen=True)
class DependencyParameters:
    """The keys that the user may set."""

    pipeline: str | None = key(None, "name or folder of a spaCy pipeline; null: the small one of English or Swedish")


@dataclass(frozen=True)
class DependencyDistance:
    """Mean distance in words between a word and its head, float64[n]; 0 for a text without dependencies.

    Liu 2008, "Dependency distance as a metric of language comprehension difficulty", J. Cognitive Science 9(2), eq. 2
    over a text: roots and punctuation are left out. Paragraphs are parsed one by one, so doubling a text does not
    change it.
    """

    pipeline: str

    def __call__(self, documents: Documents) -> np.ndarray:
        parse = _opened(self.pipeline)
        pieces = [(index, piece) for index, text in enumerate(documents.texts) for piece in _parsed_pieces(text)]
        total, count = np.zeros(len(documents)), np.zeros(len(documents))
        for (index, _), parsed in zip(pieces, parse.pipe([piece for _, piece in pieces]), strict=True):
            distances = _distances(parsed)
            total[index] += sum(distances)
            count[index] += len(distances)
        return total / np.maximum(count, 1)


def _parsed_pieces(text: str) -> Iterator[str]:
    for paragraph in paragraphs(text):
        if paragraph.strip():
            yield from (paragraph[start : start + LONGEST_PARSED] for start in range(0, len(paragraph), LONGEST_PARSED))


def _distances(parsed) -> list[int]:
    words = [token for token in parsed if not (token.is_punct or token.is_space)]
    # Places are counted without punctuation, which the length of a dependency should not hang on.
    place = {token.i: index for index, token in enumerate(words)}
    return [
        abs(place[token.i] - place[token.head.i])
        for token in words
        if token.head.i != token.i and token.head.i in place
    ]


@lru_cache(maxsize=4)
def _opened(pipeline: str):
    """The spaCy pipeline, without the parts that the parser does not need.

    Raises MissingExtraError without spaCy, and UserError for a pipeline that is not installed or has no parser.
    """
    try:
        import spacy  # pyright: ignore[reportMissingImports] (an extra that the tests stand in for)
    except ImportError as error:
        raise MissingExtraError("spacy", "parser", "Dependency distance") from error
    try:
        opened = spacy.load(pipeline, exclude=["ner", "lemmatizer", "textcat", "entity_linker"])
    except OSError as error:
        raise UserError(
            f"measure 'dependency_distance': there is no spaCy pipeline '{pipeline}': install it (python -m spacy "
            f"download {pipeline}), or set pipeline to another name or folder"
        ) from error
    if "parser" not in opened.pipe_names:
        raise UserError(f"measure 'dependency_distance': the pipeline '{pipeline}' has no parser")
    return opened


def _learn(texts: Iterable[str], language: str, parameters: DependencyParameters) -> ScoreFunction:
    pipeline = parameters.pipeline or PIPELINES.get(language)
    if pipeline is None:
        raise UserError(
            f"measure 'dependency_distance': no pipeline is known for language '{language}'; set pipeline to one"
        )
    _opened(pipeline)
    return DependencyDistance(pipeline)


DEPENDENCY_DISTANCE = Measure(
    name="dependency_distance",
    languages=(NATURAL,),
    unit="words",
    source="Liu 2008, J. Cognitive Science 9(2), 159-191",
    cost="a parse: about 0.04 MB a second and core",
    learn=_learn,
    parameters=DependencyParameters,
    needs_model=True,
)
