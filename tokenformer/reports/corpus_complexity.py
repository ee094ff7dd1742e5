"""How complex the documents of a collection are, by one measure or by all that hold for its language."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from tokenformer.complexity import MEASURES
from tokenformer.complexity.measure import Scorer
from tokenformer.complexity.scoring import default_measure, find_measure
from tokenformer.complexity.text.language import AUTOMATIC, certain_language, detect_language, known_language
from tokenformer.console import progress_steps
from tokenformer.data.corpus_scoring import CorpusScoring, MeasureColumns, available_processes, check_processes
from tokenformer.data.kinds import PERCENTILE, SEVERAL
from tokenformer.data.reading import Document
from tokenformer.data.text_collection import TextCollection
from tokenformer.errors import MissingExtraError, UserError
from tokenformer.reports.options import ScoreOptions

ODD_SHARE = 0.001
"""Share of the documents at either end that a person should read."""

SHOWN_EXTREMES = 10
EXCERPT_CHARACTERS = 300


@dataclass(frozen=True)
class ScoredDocument:
    """One document, to be read by a person; `number` counts from 0 within its source."""

    number: int
    source: str
    score: float
    excerpt: str


@dataclass(frozen=True)
class CorpusComplexity:
    """The scores of n documents by m measures.

    Attributes:
        title: of the collection.
        language: code.
        confidence: of the language, where it was found out.
        measures: names; the first one is the one asked for.
        scores: float64[n, m].
        source: int64[n], index into `sources`.
        words: int64[n], words between white space.
        texts: number of a document -> its text, of those at the ends of any measure.
    """

    title: str
    language: str
    confidence: float | None
    measures: tuple[str, ...]
    scores: np.ndarray
    source: np.ndarray
    sources: list[str]
    words: np.ndarray
    texts: dict[int, str]

    @property
    def main(self) -> np.ndarray:
        """float64[n]: scores by the measure asked for."""
        return self.scores[:, 0]

    def by_source(self) -> list[np.ndarray]:
        """Scores by the measure asked for of each source."""
        return [self.main[self.source == index] for index in range(len(self.sources))]

    def easiest(self, count: int, measure: int = 0) -> list[ScoredDocument]:
        """The easiest first."""
        return [self._document(row, measure) for row in _ascending(self.scores[:, measure])[:count]]

    def hardest(self, count: int, measure: int = 0) -> list[ScoredDocument]:
        """The hardest first."""
        return [self._document(row, measure) for row in _ascending(self.scores[:, measure])[::-1][:count]]

    def odd_count(self) -> int:
        """Documents at either end that are odd: 0.1 %, at least one."""
        return _odd_count(len(self.main))

    def agreement(self) -> np.ndarray:
        """float64[m, m]: rank correlations; 0 with a measure that gives every document the same score."""
        ranks = np.stack([_mean_ranks(column) for column in self.scores.T], axis=1)
        ranks -= ranks.mean(axis=0)
        scale = np.sqrt((ranks**2).sum(axis=0))
        return ranks.T @ ranks / np.maximum(np.outer(scale, scale), 1e-300)

    def _document(self, row: int, measure: int) -> ScoredDocument:
        text = " ".join(self.texts[row].split())
        excerpt = text if len(text) <= EXCERPT_CHARACTERS else text[:EXCERPT_CHARACTERS].rstrip() + " …"
        number = int((self.source[:row] == self.source[row]).sum())
        return ScoredDocument(number, self.sources[self.source[row]], float(self.scores[row, measure]), excerpt)


@dataclass
class _Watched:
    """Notes source and words of the documents that pass."""

    sources: dict[str, int] = field(default_factory=dict)
    source: list[int] = field(default_factory=list)
    words: list[int] = field(default_factory=list)

    def passing(self, documents: Iterator[Document]) -> Iterator[str]:
        for document in documents:
            self.source.append(self.sources.setdefault(document.source, len(self.sources)))
            self.words.append(len(document.text.split()))
            yield document.text


def score_collection(collection: TextCollection, options: ScoreOptions) -> CorpusComplexity:
    """Scores every document; the collection is read two or three times, and never held in memory.

    (A measure that learns from the texts themselves, as in languages without built-in counts, holds what it learns.)
    Raises UserError for a language that cannot be told, an unknown measure, one that does not hold for the language,
    and a collection without documents.
    """
    processes = available_processes() if options.processes is None else options.processes
    check_processes(processes)
    language, confidence = _language(collection, options.language)
    names, scorers = _scorers(collection, language, options)
    scoring = CorpusScoring(
        MeasureColumns(scorers),
        len(names),
        options.kept or _cache(collection.title, names, language),
        processes,
    )
    watched = _Watched()
    with progress_steps() as step:
        scores = scoring.score(watched.passing(collection.read()), step("scoring", total=collection.size))
        if not len(scores):
            raise UserError(f"there is no document in {collection.title}")
        texts = _texts_at_the_ends(collection, scores, step("reading the ends again"))
    scoring.forget()
    return CorpusComplexity(
        title=collection.title,
        language=language,
        confidence=confidence,
        measures=names,
        scores=scores,
        source=np.array(watched.source),
        sources=list(watched.sources),
        words=np.array(watched.words),
        texts=texts,
    )


def _language(collection: TextCollection, language: str) -> tuple[str, float | None]:
    """Code, and how sure it is where it was found out.

    Raises UserError for a prepared corpus of several kinds, whose documents have no score in common.
    """
    language = known_language(language)
    if language != AUTOMATIC:
        return language, None
    if collection.corpus is not None:
        if collection.corpus.language == SEVERAL:
            raise UserError(f"{collection.title} has texts in several languages: name one by --language, and a measure")
        return collection.corpus.language, None
    return certain_language(collection), detect_language(collection).confidence


def _scorers(collection: TextCollection, language: str, options: ScoreOptions) -> tuple[tuple[str, ...], list[Scorer]]:
    """The measure asked for, then the others if they are asked for; those that lack a package are left out."""
    corpus = collection.corpus
    prepared = corpus.measure if corpus is not None and corpus.measure != PERCENTILE else default_measure(language)
    asked = options.measure or prepared
    names, scorers = [asked], [find_measure(asked).fit(collection, language, **options.parameters)]
    for name, measure in MEASURES.items() if options.every_measure else ():
        if name != asked and measure.holds_for(language) and not measure.needs_model:
            try:
                scorers.append(measure.fit(collection, language))
                names.append(name)
            except MissingExtraError:
                continue
    return tuple(names), scorers


def _texts_at_the_ends(collection: TextCollection, scores: np.ndarray, advance) -> dict[int, str]:
    count = max(_odd_count(len(scores)), SHOWN_EXTREMES)
    ends = (_ascending(column)[place] for column in scores.T for place in (slice(count), slice(-count, None)))
    wanted = set(np.concatenate(list(ends)).tolist())
    texts = {}
    for number, text in enumerate(collection):
        if number in wanted:
            # More is never shown, and one odd document may be a whole book.
            texts[number] = text[: 4 * EXCERPT_CHARACTERS]
            advance(1)
    return texts


def _odd_count(documents: int) -> int:
    return max(1, round(ODD_SHARE * documents))


def _ascending(scores: np.ndarray) -> np.ndarray:
    return np.argsort(scores, kind="stable")


def _mean_ranks(values: np.ndarray) -> np.ndarray:
    """float64[n]: ranks, equal values given their mean rank."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts - 1) / 2)[place]


def _cache(title: str, names: Sequence[str], language: str) -> Path:
    """A folder that the same question finds again after it was interrupted."""
    question = "\n".join([os.getcwd(), title, language, *names])
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return home / "tokenformer" / "scores" / hashlib.blake2b(question.encode(), digest_size=12).hexdigest()
