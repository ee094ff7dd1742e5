"""The complexity of a collection as one HTML page: distributions, agreement of measures, documents to read."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

import numpy as np

from tokenformer.complexity import MEASURES
from tokenformer.curriculum.plan import SamplePlan
from tokenformer.reports.corpus_complexity import EXCERPT_CHARACTERS, SHOWN_EXTREMES, CorpusComplexity, ScoredDocument
from tokenformer.reports.page import document, picture
from tokenformer.reports.pictures import DARK, DOTS_PER_INCH, LIGHT, WIDTH_INCHES, Theme, drawn, smoothed

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_SOURCES = 40
"""Boxes that one picture holds; of more sources the largest are drawn."""

INCHES_PER_BOX, INCHES_AROUND = 0.32, 1.0
PATH_INCHES = 3.2

AGREE, DISAGREE = "0,158,115", "213,94,0"
"""Red, green and blue."""

STYLE = """
.documents td { text-align: left; white-space: normal; vertical-align: top; min-width: 4rem; }
.documents td:last-child { min-width: 28rem; }
.agreement td { text-align: center; }
"""


def complexity_page(found: CorpusComplexity, plan: SamplePlan | None = None) -> str:
    """The page, with the path of complexity through the run of `plan`; raises MissingExtraError without matplotlib."""
    name = found.measures[0]
    return document(
        f"Complexity of {found.title}",
        [
            f"<h1>Complexity of {escape(found.title)}</h1>",
            f"<p>{len(found.main):,} documents, {found.words.sum():,} words, {escape(_language(found))}. "
            f"Measure: {escape(name)}, in {escape(MEASURES[name].unit)} ({escape(MEASURES[name].source)}). "
            "Harder is higher for every measure.</p>",
            "<h2>Distribution by source</h2>",
            _boxes(found),
            _path(plan, name),
            _agreement(found),
            "<h2>Easiest documents</h2>",
            _documents(found.easiest(SHOWN_EXTREMES)),
            "<h2>Hardest documents</h2>",
            _documents(found.hardest(SHOWN_EXTREMES)),
            _odd(found),
        ],
        STYLE,
    )


def _language(found: CorpusComplexity) -> str:
    how = "given" if found.confidence is None else f"found out with confidence {found.confidence:.2f}"
    return f"language {found.language} ({how})"


def _boxes(found: CorpusComplexity) -> str:
    largest = sorted(range(len(found.sources)), key=lambda source: -int((found.source == source).sum()))
    chosen = sorted(largest[:MOST_SOURCES], reverse=True)
    scores, names = [found.by_source()[source] for source in chosen], [found.sources[source] for source in chosen]
    height = INCHES_AROUND + INCHES_PER_BOX * len(chosen)
    label = f"{found.measures[0]} ({MEASURES[found.measures[0]].unit})"

    def picture_on(theme: Theme) -> bytes:
        def draw(figure) -> None:
            axes = figure.subplots()
            line = {"color": theme.complexity}
            axes.boxplot(
                scores,
                orientation="horizontal",
                tick_labels=names,
                whis=(5, 95),
                showfliers=False,
                widths=0.6,
                boxprops=line,
                whiskerprops=line,
                capprops=line,
                medianprops={"color": theme.text, "linewidth": 2},
            )
            axes.set_xlabel(label)

        return drawn(draw, height, theme)

    left_out = len(found.sources) - len(chosen)
    note = f" The {left_out} smallest sources are left out." if left_out else ""
    shown = f"Box: middle half of the documents, median marked. Whiskers: 5 % to 95 %.{note}"
    drawing = _drawing(picture_on, height, f"Box plots of complexity by source. {shown}")
    return f"{drawing}<p><small>{shown}</small></p>"


def _path(plan: SamplePlan | None, name: str) -> str:
    if plan is None:
        return ""

    def picture_on(theme: Theme) -> bytes:
        def draw(figure) -> None:
            _draw_path(figure.subplots(), plan, name, theme)

        return drawn(draw, PATH_INCHES, theme)

    shown = "The line is a running mean over samples in the order in which the run will read them, points are samples."
    return (
        "<h2>Planned path of complexity through training</h2>"
        + _drawing(picture_on, PATH_INCHES, f"Complexity against words read. {shown}")
        + f"<p><small>{shown}</small></p>"
    )


def _draw_path(axes: Axes, plan: SamplePlan, name: str, theme: Theme) -> None:
    words, complexity = plan.words_before(np.arange(plan.samples)), plan.sample_complexity
    few = np.linspace(0, plan.samples - 1, min(plan.samples, 1000)).astype(int)
    axes.plot(words[few], complexity[few], ".", color=theme.baseline, markersize=3)
    axes.plot(words, smoothed(complexity), color=theme.complexity, linewidth=2.5)
    axes.set_xlabel("words read")
    axes.set_ylabel(name)
    axes.set_xlim(left=0)


def _drawing(picture_on, height: float, description: str) -> str:
    width, height = (round(DOTS_PER_INCH * inches) for inches in (WIDTH_INCHES, height))
    return picture(picture_on(LIGHT), picture_on(DARK), width, height, description)


def _agreement(found: CorpusComplexity) -> str:
    """Rank correlations, darker where measures agree."""
    if len(found.measures) < 2 or len(found.main) < 2:
        return ""
    head = "".join(f"<th>{escape(name)}</th>" for name in found.measures)
    rows = "".join(
        f'<tr><th scope="row">{escape(name)}</th>'
        + "".join(
            f'<td style="background: rgba({AGREE if value > 0 else DISAGREE},{abs(value) / 2:.2f})">{value:.2f}</td>'
            for value in correlations
        )
        + "</tr>\n"
        for name, correlations in zip(found.measures, found.agreement().tolist(), strict=True)
    )
    return (
        "<h2>Agreement between measures</h2><p><small>Rank correlation (Spearman) over all documents.</small></p>"
        f'<div class="wide"><table class="agreement"><thead><tr><th></th>{head}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div>"
    )


def _odd(found: CorpusComplexity) -> str:
    count = found.odd_count()
    sections = [
        f"<details><summary>{escape(name)}</summary>"
        f"<p>Easiest</p>{_documents(found.easiest(count, index))}"
        f"<p>Hardest</p>{_documents(found.hardest(count, index))}</details>"
        for index, name in enumerate(found.measures)
    ]
    return (
        "<h2>Odd documents, to be read</h2>"
        f"<p><small>The easiest and the hardest 0.1 % by each measure: {count} at either end. What stands here is "
        "often no text: tables, lists, other languages, broken encodings.</small></p>" + "\n".join(sections)
    )


def _documents(documents: Sequence[ScoredDocument]) -> str:
    rows = "".join(
        f"<tr><td>{each.score:.3f}</td><td>{escape(each.source)}, {each.number + 1:,}</td>"
        f"<td>{escape(each.excerpt)}</td></tr>\n"
        for each in documents
    )
    return (
        '<div class="wide"><table class="documents"><thead><tr><th>score</th><th>source, number</th>'
        f"<th>beginning (at most {EXCERPT_CHARACTERS} characters)</th></tr></thead><tbody>{rows}</tbody></table></div>"
    )
