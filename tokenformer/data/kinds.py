"""The language and the measure of each source, and scores that can be compared between sources.

Scores of different languages or measures have different units. So a corpus of several kinds of text keeps, instead of
the scores, their percentiles: the percent of the training documents of the same kind that are easier, equals counted
half. Orderings, selections and triggers then read percentiles. A corpus of one kind keeps the scores.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tokenformer.config.nearest import nearest_word
from tokenformer.data.corpus_scoring import CorpusScoring, MeasureColumns
from tokenformer.errors import UserError

SEVERAL = "several"
"""Language of a corpus whose sources have different ones."""

PERCENTILE = "percentile"
"""Measure of a corpus of several kinds of text."""

PERCENTILE_UNIT = "percent of the training documents of the same language and measure that are easier"


@dataclass(frozen=True)
class Kind:
    """Text of one language, scored by one measure."""

    language: str
    measure: str


@dataclass(frozen=True)
class SourceKind:
    """The kind of a source.

    Attributes:
        confidence: of its language, None where that was given.
        overlap: share of its words, as far as they were looked at, in sentences of the package's simple text,
            in which `surprisal` is counted; 0 for languages without such text.
    """

    kind: Kind
    confidence: float | None
    overlap: float


def by_source(choice: str | None, option: str, sources: Sequence[str]) -> dict[str, str | None]:
    """Reads a choice such as "en" or "auto,dyck=formal,svenska=sv": its meaning for each source.

    Args:
        option: its name in messages.

    Raises:
        UserError: it names a source that there is not, or two values for all sources.
    """
    parts = [part.strip() for part in choice.split(",")] if choice else []
    general = [part for part in parts if "=" not in part]
    named = dict(part.rsplit("=", 1) for part in parts if "=" in part)
    if len(general) > 1:
        raise UserError(f"{option} is {choice!r}: write one value for all sources, and SOURCE=VALUE for others")
    for name in named.keys() - set(sources):
        near = nearest_word(name, sources)
        hint = f"did you mean '{near}'? " if near else ""
        raise UserError(f"{option} names the source '{name}', which there is not; {hint}there are {', '.join(sources)}")
    return {source: named.get(source, general[0] if general else None) for source in sources}


def check_kinds(language: str, measure: str | None, sources: Sequence[str]) -> None:
    """Refuses before any text is read what cannot hold.

    Raises:
        UserError: an unknown language, measure or source, or a measure that does not hold for a language.
    """
    from tokenformer.complexity.scoring import find_measure
    from tokenformer.complexity.text.language import AUTOMATIC, known_language

    measures = by_source(measure, "measure", sources)
    for source, name in by_source(language, "language", sources).items():
        code = known_language(name or AUTOMATIC)
        wanted = measures[source]
        if wanted is not None:
            found = find_measure(wanted)
            if code != AUTOMATIC:
                found.check_language(code)


def find_kinds(language: str, measure: str | None, texts: Mapping[str, Sequence[str]]) -> dict[str, SourceKind]:
    """The kind of each source; its language is found out where it is not given.

    Args:
        texts: source -> its texts.

    Raises:
        UserError: as `check_kinds`, and for sources whose language cannot be told.
    """
    from tokenformer.complexity.scoring import default_measure
    from tokenformer.complexity.text.language import AUTOMATIC, detect_language, known_language
    from tokenformer.complexity.text.reference import reference_overlap

    languages = by_source(language, "language", list(texts))
    measures = by_source(measure, "measure", list(texts))
    kinds, unknown = {}, []
    for source, read in texts.items():
        code, confidence = known_language(languages[source] or AUTOMATIC), None
        if code == AUTOMATIC:
            found = detect_language(read)
            code, confidence = found.language, found.confidence
            if not found.is_certain:
                unknown.append(f"{source} (best guess: {code}, confidence {confidence:.2f})")
        kind = Kind(code, measures[source] or default_measure(code))
        kinds[source] = SourceKind(kind, confidence, reference_overlap(read, code))
    if unknown:
        raise UserError(
            f"the language of {', '.join(unknown[:5])}{' and others' if len(unknown) > 5 else ''} cannot be told: name "
            f"it, as en, sv, another language, code or formal; auto,{unknown[0].split(' (')[0]}=LANGUAGE names that of "
            "one source"
        )
    return kinds


@dataclass(frozen=True)
class Split:
    """The documents of a split: texts, and the index of the source of each."""

    texts: Sequence[str]
    sources: Sequence[int]


def score_by_kind(
    splits: Mapping[str, Split],
    kinds: Sequence[Kind],
    parameters: Mapping[str, Any],
    folder: Path,
    processes: int,
    step: Callable[..., Callable[[int], None]],
) -> dict[str, np.ndarray]:
    """Complexity float64[documents] by split: scores, or percentiles where there are several kinds.

    A measure that has to be fitted is fitted on the training texts of its kind alone.

    Args:
        kinds: of each source, by its index.
        parameters: of the measures.
        folder: where finished parts of the scores are kept.
        step: starts a step of the progress.
    """
    different = list(dict.fromkeys(kinds))
    complexity = {name: np.empty(len(split.texts)) for name, split in splits.items()}
    for number, kind in enumerate(different):
        rows = {
            name: np.flatnonzero([kinds[source] == kind for source in split.sources]) for name, split in splits.items()
        }
        texts = {name: [split.texts[row] for row in rows[name].tolist()] for name, split in splits.items()}
        kept = folder if len(different) == 1 else folder / str(number)
        scores = _scores(texts, kind, parameters, kept, processes, step)
        reference = np.sort(scores["train"] if len(scores["train"]) else np.concatenate(list(scores.values())))
        for name, values in scores.items():
            complexity[name][rows[name]] = values if len(different) == 1 else percentiles(values, reference)
    return complexity


def percentiles(values: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Percent of the ascending `reference` below each value, equals counted half: float64, as `values`."""
    below, up_to = np.searchsorted(reference, values, "left"), np.searchsorted(reference, values, "right")
    return 50 * (below + up_to) / max(len(reference), 1)


def _scores(
    texts: Mapping[str, list[str]],
    kind: Kind,
    parameters: Mapping[str, Any],
    folder: Path,
    processes: int,
    step: Callable[..., Callable[[int], None]],
) -> dict[str, np.ndarray]:
    from tokenformer.complexity.scoring import find_measure

    step(f"fitting {kind.measure}")
    scorer = find_measure(kind.measure).fit(texts["train"], kind.language, **parameters)
    scores = {}
    for split, of_split in texts.items():
        advance = step(f"scoring complexity of {split} ({kind.measure})", total=sum(map(len, of_split)))
        scoring = CorpusScoring(MeasureColumns([scorer]), 1, folder / split, processes)
        scores[split] = scoring.score(of_split, advance)[:, 0]
        if scores[split].shape != (len(of_split),) or not np.isfinite(scores[split]).all():
            raise RuntimeError(f"the measure '{kind.measure}' did not give each document of {split} a finite score")
    return scores
