"""The pictures of a comparison: contrasts as a forest plot, curves with bands over seeds, losses by difficulty.

Colours are those of Okabe and Ito ("Color Universal Design", 2008); arms differ in marker and line style too, and carry
their names, so that the pictures can be read without colour and in print.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from tokenformer.experiments.analysis import ContrastFound
from tokenformer.experiments.grid import Contrast
from tokenformer.experiments.records import Record
from tokenformer.experiments.statistics import Paired
from tokenformer.reports.page import picture
from tokenformer.reports.pictures import DARK, DOTS_PER_INCH, LIGHT, WIDTH_INCHES, Theme, drawn, spread

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8a8a8a")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
LINES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 1)), (0, (8, 2)))

ABSCISSAE = {"words": "words read", "flops": "training FLOPs", "seconds": "seconds of training"}
LABEL_GAP = 0.05
SHOWN_AFTER = 0.15
"""Share of a run whose losses, which fall steeply, are left out of the curves."""


def figure(draw: Callable[[Figure, Theme], None], height: float, description: str) -> str:
    """A drawing as HTML, on a light and on a dark background."""

    def on(theme: Theme) -> bytes:
        return drawn(lambda empty: draw(empty, theme), height, theme)

    width, height = (round(DOTS_PER_INCH * inches) for inches in (WIDTH_INCHES, height))
    return picture(on(LIGHT), on(DARK), width, height, description)


def forest_plot(contrasts: Sequence[ContrastFound], equivalent: float) -> str:
    """Every contrast with its interval; nothing where none is finished."""
    found = [(each, each.difference) for each in contrasts if each.difference is not None]
    if not found:
        return ""

    def draw(empty: Figure, theme: Theme) -> None:
        axes = empty.subplots()
        axes.axvspan(-equivalent, equivalent, color=theme.faint, alpha=0.5, linewidth=0)
        axes.axvline(0, color=theme.text, linewidth=1)
        for row, (each, difference) in enumerate(reversed(found)):
            _draw_contrast(axes, row, each.contrast, difference, theme)
        axes.set_yticks(range(len(found)), [_row_label(each.contrast) for each, _ in reversed(found)])
        axes.set_ylim(-0.6, len(found) - 0.4)
        axes.set_xlabel("difference in held-out loss, nats a token (left: the first arm is better)")

    shown = (
        "Differences of arms with 95 % intervals; filled marks are confirmatory contrasts, small dots single seeds, "
        "and the grey band holds differences that count as equal."
    )
    return figure(draw, 1.0 + 0.42 * len(found), shown) + f"<p><small>{shown}</small></p>"


def _row_label(contrast: Contrast) -> str:
    named = f"{contrast.first} - {contrast.second}"
    return named if contrast.name == named else f"{contrast.name}: {named}"


def _draw_contrast(axes: Axes, row: int, contrast: Contrast, difference: Paired, theme: Theme) -> None:
    fill = theme.held_out if contrast.confirmatory else theme.background
    if difference.low is not None and difference.high is not None:
        axes.plot([difference.low, difference.high], [row, row], color=theme.held_out, linewidth=2)
    axes.plot(
        list(difference.differences.values()), [row + 0.22] * difference.n, ".", color=theme.baseline, markersize=4
    )
    axes.plot([difference.mean], [row], "o", color=theme.held_out, markerfacecolor=fill, markersize=8)


def curves(arms: Mapping[str, Sequence[Record]], key: str) -> str:
    """Held-out loss against words, FLOPs or seconds: mean over seeds, their range as a band, growth marked."""
    shown = f"Held-out loss against {ABSCISSAE[key]}: mean over seeds, with their range; triangles: growth."
    arms = {arm: records for arm, records in arms.items() if records and _has(records, key)}
    if not arms:
        return ""

    def draw(empty: Figure, theme: Theme) -> None:
        axes = empty.subplots()
        axes.grid(axis="y", color=theme.faint, linewidth=0.6)
        ends = []
        for number, (arm, records) in enumerate(arms.items()):
            ends.append((arm, *_draw_curve(axes, number, records, key)))
        _label_ends(axes, ends)
        for number, records in enumerate(arms.values()):
            _mark_growth(axes, number, records, key)
        axes.set_xlabel(ABSCISSAE[key])
        axes.set_ylabel("loss (nats a token)")

    return figure(draw, 4.2, shown) + f"<p><small>{shown}</small></p>"


def _has(records: Sequence[Record], key: str) -> bool:
    return all(line.get(key) is not None for record in records for line in record["validations"])


def _style(number: int) -> dict:
    place = number % len(COLOURS)
    return {"color": COLOURS[place], "linestyle": LINES[place], "marker": MARKERS[place]}


def _draw_curve(axes: Axes, number: int, records: Sequence[Record], key: str) -> tuple[float, str]:
    """Draws an arm and returns its last loss and its colour; points are the checks that all its seeds have."""
    steps = set.intersection(*({line["step"] for line in record["validations"]} for record in records))
    last = max(steps)
    kept = sorted(step for step in steps if step >= SHOWN_AFTER * last) or [last]
    lines = [[line for line in record["validations"] if line["step"] in kept] for record in records]
    by_seed = [{line["step"]: line for line in part} for part in lines]
    x = np.mean([[each[step][key] for step in kept] for each in by_seed], axis=0)
    losses = np.array([[each[step]["loss"] for step in kept] for each in by_seed])
    style = _style(number)
    axes.plot(x, losses.mean(axis=0), markersize=5, **style)
    if len(records) > 1:
        axes.fill_between(x, losses.min(axis=0), losses.max(axis=0), color=style["color"], alpha=0.18, linewidth=0)
    return float(losses.mean(axis=0)[-1]), style["color"]


def _label_ends(axes: Axes, ends: list[tuple[str, float, str]]) -> None:
    ends = sorted(ends, key=lambda end: end[1])
    low, high = axes.get_ylim()
    places = spread(np.array([(loss - low) / (high - low) for _, loss, _ in ends]), gap=LABEL_GAP)
    places -= min(0.0, places[0])
    for (arm, loss, colour), height in zip(ends, places, strict=True):
        axes.text(1.01, height, f"{arm} {loss:.3f}", color=colour, transform=axes.transAxes, va="center", fontsize=9)


def _mark_growth(axes: Axes, number: int, records: Sequence[Record], key: str) -> None:
    """A small triangle at the bottom where each run of an arm grew."""
    for record in records:
        measured = sorted((line["step"], line[key]) for line in record["validations"])
        steps, values = zip(*measured, strict=True)
        for event in record["growth"]:
            place = np.interp(event["step"], steps, values)
            axes.plot(
                [place],
                [0.015 + 0.03 * number],
                marker="^",
                color=_style(number)["color"],
                markersize=5,
                transform=axes.get_xaxis_transform(),
            )


def by_difficulty(arms: Mapping[str, Sequence[Record]]) -> str:
    """The loss of documents by their level of difficulty, as the difference from the first arm with records."""
    arms = {arm: records for arm, records in arms.items() if records and records[0].get("documents")}
    if len(arms) < 2:
        return ""
    reference = next(iter(arms))
    base = difficulty_losses(arms[reference])

    def draw(empty: Figure, theme: Theme) -> None:
        axes = empty.subplots()
        axes.axhline(0, color=theme.text, linewidth=1)
        axes.grid(axis="y", color=theme.faint, linewidth=0.6)
        for number, (arm, records) in enumerate(arms.items()):
            if arm != reference:
                axes.plot(np.arange(1, len(base) + 1), difficulty_losses(records) - base, label=arm, **_style(number))
        axes.set_xticks(range(1, len(base) + 1))
        axes.set_xlabel("difficulty of the held-out documents, fifths from easy to hard")
        axes.set_ylabel(f"loss minus that of {reference}")
        axes.legend(frameon=False, ncols=4, fontsize=9)

    shown = f"Held-out loss by difficulty of the document, minus that of {reference}; mean over seeds."
    return figure(draw, 3.4, shown) + f"<p><small>{shown}</small></p>"


def difficulty_losses(records: Sequence[Record]) -> np.ndarray:
    """float64 [levels]: nats a token by level of difficulty, mean over runs."""
    documents = records[0]["documents"]
    level, tokens = np.array(documents["difficulty"]), np.array(documents["tokens"], dtype=np.float64)
    levels = documents["difficulties"]
    whole = np.bincount(level, tokens, minlength=levels)
    nats = [np.bincount(level, record["documents"]["nats"], minlength=levels) for record in records]
    return np.mean(nats, axis=0) / np.maximum(whole, 1)
