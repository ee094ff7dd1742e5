"""The answer of `tokenformer score` in a terminal."""

from __future__ import annotations

import textwrap

import numpy as np

from tokenformer.complexity import MEASURES
from tokenformer.console import printable, table
from tokenformer.reports.corpus_complexity import CorpusComplexity, ScoredDocument

LINE = 100
"""Characters of a line with the beginning of a document."""

SHORT_WORDS = 50
"""A text of fewer words is short: measures of vocabulary say little of it, and a single long word decides."""

_SHORT = f"A text of fewer than {SHORT_WORDS} words is too short to be compared by these numbers with longer ones."

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
SHOWN = 3


def answer(found: CorpusComplexity, is_quoted: bool) -> str:
    """A line a measure for each quoted text; a table by source and the ends of the list for documents of files."""
    notes = [_SHORT] if is_quoted and found.words.min() < SHORT_WORDS else []
    return "\n".join([_language_line(found), *notes, "", *(_texts(found) if is_quoted else _corpus(found))])


def _language_line(found: CorpusComplexity) -> str:
    known = "given" if found.confidence is None else f"found out, confidence {found.confidence:.2f}"
    return f"language: {found.language} ({known}); harder is higher for every measure"


def _texts(found: CorpusComplexity) -> list[str]:
    lines = []
    for number in range(len(found.main)):
        lines.append(printable(textwrap.shorten(found.texts[number], LINE, placeholder=" …")))
        for name, value in zip(found.measures, found.scores[number], strict=True):
            lines.append(f"  {name:<24}{value:>10.3f}  {MEASURES[name].unit}")
        lines.append("")
    return lines[:-1]


def _corpus(found: CorpusComplexity) -> list[str]:
    name = found.measures[0]
    rows = [(source, found.source == index) for index, source in enumerate(found.sources)]
    if len(rows) > 1:
        rows.append(("all", np.ones(len(found.main), bool)))
    columns = ("source", "documents", "words", "mean", *(f"{100 * share:g} %" for share in QUANTILES))
    lines = [
        f"{name}, in {MEASURES[name].unit}, of {found.title}",
        "",
        table(columns, [_row(source, found.main[chosen], found.words[chosen]) for source, chosen in rows]),
    ]
    for title, documents in (("easiest", found.easiest(SHOWN)), ("hardest", found.hardest(SHOWN))):
        lines += ["", f"{title}:", *map(_line, documents)]
    count = found.odd_count()
    if count > SHOWN:
        lines += ["", f"to read, the {count} easiest and {count} hardest (0.1 % each): --html OUT lists them"]
    return lines


def _row(source: str, scores: np.ndarray, words: np.ndarray) -> tuple[str, ...]:
    numbers = (f"{value:.3f}" for value in (scores.mean(), *np.quantile(scores, QUANTILES)))
    return (source, f"{len(scores):,}", f"{words.sum():,}", *numbers)


def _line(document: ScoredDocument) -> str:
    start = f"{document.score:>9.3f}  {document.source}, document {document.number + 1}: "
    return printable(start + textwrap.shorten(document.excerpt, max(LINE - len(start), 40), placeholder=" …"))
