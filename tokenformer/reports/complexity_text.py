"""What `tokenformer score` answers in a terminal."""

from __future__ import annotations

import textwrap

import numpy as np

from tokenformer.complexity import MEASURES
from tokenformer.reports.corpus_complexity import CorpusComplexity, ScoredDocument
from tokenformer.reports.tables import TERMINAL_COLUMNS

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
SHOWN = 3


def answer(found: CorpusComplexity, is_quoted: bool) -> str:
    """A line a measure for each quoted text; a table by source and the ends of the list for documents of files."""
    return "\n".join([_language_line(found), "", *(_texts(found) if is_quoted else _corpus(found))])


def _language_line(found: CorpusComplexity) -> str:
    known = "given" if found.confidence is None else f"found out, confidence {found.confidence:.2f}"
    return f"language: {found.language} ({known}); harder is higher for every measure"


def _texts(found: CorpusComplexity) -> list[str]:
    lines = []
    for number in range(len(found.main)):
        lines.append(textwrap.shorten(found.texts[number], TERMINAL_COLUMNS, placeholder=" …"))
        for name, value in zip(found.measures, found.scores[number], strict=True):
            lines.append(f"  {name:<24}{value:>10.3f}  {MEASURES[name].unit}")
        lines.append("")
    return lines[:-1]


def _corpus(found: CorpusComplexity) -> list[str]:
    name = found.measures[0]
    width = max(len("all"), *map(len, found.sources))
    columns = "".join(f"{f'{100 * share:g} %':>9}" for share in QUANTILES)
    lines = [
        f"{name}, in {MEASURES[name].unit}, of {found.title}",
        "",
        f"{'source':<{width}}{'documents':>11}{'words':>13}{'mean':>9}{columns}",
    ]
    rows = [(source, found.source == index) for index, source in enumerate(found.sources)]
    for source, chosen in [*rows, ("all", np.ones(len(found.main), bool))] if len(rows) > 1 else rows:
        scores = found.main[chosen]
        numbers = "".join(f"{value:>9.3f}" for value in (scores.mean(), *np.quantile(scores, QUANTILES)))
        lines.append(f"{source:<{width}}{len(scores):>11,}{found.words[chosen].sum():>13,}{numbers}")
    for title, documents in (("easiest", found.easiest(SHOWN)), ("hardest", found.hardest(SHOWN))):
        lines += ["", f"{title}:", *map(_line, documents)]
    count = found.odd_count()
    if count > SHOWN:
        lines += ["", f"to read, the {count} easiest and {count} hardest (0.1 % each): --html OUT lists them"]
    return lines


def _line(document: ScoredDocument) -> str:
    start = f"{document.score:>9.3f}  {document.source}, document {document.number + 1}: "
    return start + textwrap.shorten(document.excerpt, max(TERMINAL_COLUMNS - len(start), 40), placeholder=" …")
