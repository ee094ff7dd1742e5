"""The picture of a run: loss against words seen and against training FLOPs, with complexity and size below.

Drawn by matplotlib, which the extra `report` installs. Colours are those of Okabe and Ito ("Color Universal Design",
2008), which stay apart for colour-blind readers; lines differ in style and carry their names as well.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tokenformer.console import short_number
from tokenformer.errors import MissingExtraError
from tokenformer.run_folder import keys
from tokenformer.run_folder.record import Line, RunRecord

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH_INCHES, HEIGHT_INCHES = 10.0, 6.4
DOTS_PER_INCH = 200

SMOOTHED_OVER = 40

# Room for one label of 9 points, as a share of the height (beside the axes) and of the width (above them).
LABEL_GAP = 0.062
LABEL_WIDTH = 0.17


@dataclass(frozen=True)
class Theme:
    """Colours on one background."""

    background: str
    text: str
    faint: str
    held_out: str
    training: str
    baseline: str
    complexity: str
    size: str


LIGHT = Theme("#ffffff", "#222222", "#d9d9d9", "#0072b2", "#d55e00", "#6b6b6b", "#009e73", "#b0578d")
DARK = Theme("#16181c", "#e6e6e6", "#3d4148", "#56b4e9", "#e69f00", "#a3a8b0", "#1fc795", "#dd92bd")


@dataclass(frozen=True)
class Abscissa:
    """One of the two quantities that the loss is drawn against, in units of `unit`."""

    key: str
    label: str
    unit: float = 1.0


def loss_picture(record: RunRecord, theme: Theme = LIGHT) -> bytes:
    """A PNG, 2000 x 1280 pixels, to be shown about 1000 wide.

    Raises MissingExtraError if matplotlib is not installed.
    """
    return drawn(lambda figure: _draw(figure, record, theme), HEIGHT_INCHES, theme)


def drawn(draw: Callable[[Figure], None], height_inches: float, theme: Theme) -> bytes:
    """A PNG of WIDTH_INCHES by `height_inches` at DOTS_PER_INCH; raises MissingExtraError without matplotlib."""
    try:
        import matplotlib
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtraError("matplotlib", "report", "A picture") from error

    with matplotlib.rc_context(_style(theme)):
        figure = Figure(figsize=(WIDTH_INCHES, height_inches), layout="constrained")
        draw(figure)
        picture = io.BytesIO()
        figure.savefig(picture, format="png", dpi=DOTS_PER_INCH, metadata={"Software": None})
    return picture.getvalue()


def _style(theme: Theme) -> dict[Any, Any]:
    return {
        "figure.facecolor": theme.background,
        "savefig.facecolor": theme.background,
        "axes.facecolor": theme.background,
        "axes.edgecolor": theme.baseline,
        "axes.labelcolor": theme.text,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.formatter.limits": (-3, 4),
        "axes.formatter.use_mathtext": True,
        "text.color": theme.text,
        "xtick.color": theme.text,
        "ytick.color": theme.text,
        "font.size": 10,
        "lines.linewidth": 1.6,
        "lines.solid_capstyle": "round",
    }


def _draw(figure: Figure, record: RunRecord, theme: Theme) -> None:
    words = Abscissa(keys.WORDS, "words seen")
    flops = _in_powers_of_ten(keys.FLOPS, "training FLOPs since the start", record)
    (loss_by_words, loss_by_flops), (complexity, size) = figure.subplots(2, 2, sharex="col", height_ratios=(2.4, 1))
    loss_by_flops.sharey(loss_by_words)

    _draw_losses(loss_by_words, record, words, theme)
    _draw_losses(loss_by_flops, record, flops, theme)
    _draw_steps(complexity, record, words, keys.COMPLEXITY, theme.complexity)
    _draw_steps(size, record, flops, keys.PARAMETERS, theme.size)
    size.set_ylim(bottom=0)
    lowest, highest = _loss_limits(record)
    loss_by_words.set_ylim(lowest, highest)
    for axes in (loss_by_words, loss_by_flops):
        _label_losses(axes, record, theme)
        axes.set_ylabel("loss (nats per token)")
    complexity.set_ylabel("text complexity")
    size.set_ylabel("parameters")
    for top, bottom, abscissa in ((loss_by_words, complexity, words), (loss_by_flops, size, flops)):
        bottom.set_xlabel(abscissa.label)
        bottom.set_xlim(left=0, right=1.02 * _largest(record, abscissa.key) / abscissa.unit)
        _mark_growth(top, bottom, record, abscissa, theme)
    for axis in (complexity.xaxis, size.yaxis):
        axis.set_major_formatter(lambda value, _: short_number(value))
    figure.suptitle(_caption(record, highest), x=0.01, ha="left", fontsize=9, parse_math=False)


def _loss_limits(record: RunRecord) -> tuple[float, float]:
    """The ends of the loss axis: room for the baselines and for all losses but those of the first tenth of the steps.

    The loss falls so far in the first steps that it would squeeze all that follows into the lowest quarter.
    """
    start = len(record.steps) // 10
    first_step = record.steps[start][keys.STEP]
    validations = [line for line in record.validations if line[keys.STEP] >= first_step]
    baselines = [baseline.loss for baseline in record.baselines.values() if baseline.loss is not None]
    losses = np.concatenate((_training_loss(record)[start:], _column(validations, keys.HELD_OUT_LOSS), baselines))
    losses = losses[np.isfinite(losses)]
    if not losses.size:
        return 0.0, 1.0
    margin = 0.07 * (losses.max() - losses.min()) or 0.5
    return losses.min() - margin, losses.max() + margin


def _caption(record: RunRecord, highest: float) -> str:
    first_line = record.name
    if _window(len(record.steps)) > 1:
        first_line += f"  ·  The training loss is a mean over {_window(len(record.steps))} steps."
    second_line = []
    if record.growth_events:
        second_line.append("Dotted lines: the model grew, to the number of parameters that stands above.")
    losses = np.append(_training_loss(record), _column(record.validations, keys.HELD_OUT_LOSS))
    if (losses > highest).any():
        second_line.append(f"The first steps, with losses above {highest:.1f}, are cut off.")
    return "\n".join(filter(None, [first_line, "  ·  ".join(second_line)]))


def _in_powers_of_ten(key: str, label: str, record: RunRecord) -> Abscissa:
    exponent = int(np.floor(np.log10(_largest(record, key))))
    return Abscissa(key, f"{label} (× $10^{{{exponent}}}$)", 10.0**exponent)


def _largest(record: RunRecord, key: str) -> float:
    """The largest value of a key in the run, 1 if there is none above 0."""
    largest = np.nanmax(np.append(_column(record.lines, key), 0.0))
    return float(largest) if largest > 0 else 1.0


def _column(lines: list[Line], key: str) -> np.ndarray:
    """The values of a key as float64 [lines], NaN where it is missing."""
    return np.array([line.get(key) for line in lines], dtype=np.float64)


def _window(steps: int) -> int:
    return max(1, steps // SMOOTHED_OVER)


def smoothed(values: np.ndarray) -> np.ndarray:
    """The mean of each value and those before it, over one `SMOOTHED_OVER`-th of all; float64, the same shape.

    Values that are not finite are left out, and a mean of none is NaN.
    """
    window = _window(len(values))
    valid = np.isfinite(values)
    sums = np.concatenate(([0.0], np.cumsum(np.where(valid, values, 0.0))))
    numbers = np.concatenate(([0], np.cumsum(valid)))
    ends = np.arange(1, len(values) + 1)
    starts = np.maximum(ends - window, 0)
    number = numbers[ends] - numbers[starts]
    return np.divide(sums[ends] - sums[starts], number, out=np.full(len(values), np.nan), where=number > 0)


def _training_loss(record: RunRecord) -> np.ndarray:
    return smoothed(_column(record.steps, keys.LOSS))


def _draw_losses(axes: Axes, record: RunRecord, abscissa: Abscissa, theme: Theme) -> None:
    axes.grid(axis="y", color=theme.faint, linewidth=0.6)
    for baseline in record.baselines.values():
        if baseline.loss is not None:
            axes.axhline(baseline.loss, color=theme.baseline, linestyle=(0, (5, 3)), linewidth=1.1)
    steps = _column(record.steps, abscissa.key) / abscissa.unit
    _line(axes, steps, _training_loss(record), theme.training, linewidth=1.3)
    held_out = _column(record.validations, keys.HELD_OUT_LOSS)
    positions = _column(record.validations, abscissa.key) / abscissa.unit
    _line(axes, positions, held_out, theme.held_out, marker="o", markersize=3.5)


def _draw_steps(axes: Axes, record: RunRecord, abscissa: Abscissa, key: str, color: str) -> None:
    values = _column(record.steps, key)
    if np.isnan(values).all():
        axes.text(0.5, 0.5, "not recorded", transform=axes.transAxes, ha="center", va="center")
        axes.set_yticks([])
    _line(axes, _column(record.steps, abscissa.key) / abscissa.unit, values, color)


def _line(axes: Axes, x: np.ndarray, y: np.ndarray, color: str, **style: Any) -> None:
    """A line; a single point, which makes no line, is drawn as a dot."""
    if len(x) == 1:
        style["marker"] = "o"
    axes.plot(x, y, color=color, **style)


def _label_losses(axes: Axes, record: RunRecord, theme: Theme) -> None:
    """Names the lines at the right of the axes, each with its last value, at its height or as near as there is room."""
    labels = [("training", _training_loss(record)[-1], theme.training)]
    if record.validations:
        labels.append(("held-out", _column(record.validations, keys.HELD_OUT_LOSS)[-1], theme.held_out))
    labels.extend((name, baseline.loss, theme.baseline) for name, baseline in record.baselines.items())
    labels = sorted(
        (label for label in labels if label[1] is not None and np.isfinite(label[1])), key=lambda label: label[1]
    )
    low, high = axes.get_ylim()
    heights = spread(np.array([(value - low) / (high - low) for _, value, _ in labels]), gap=LABEL_GAP)
    for (name, value, color), height in zip(labels, heights, strict=True):
        axes.text(
            1.015,
            height,
            f"{name} {value:.2f}",
            color=color,
            transform=axes.transAxes,
            va="center",
            fontsize=9,
            parse_math=False,
        )


def spread(positions: np.ndarray, gap: float) -> np.ndarray:
    """Ascending positions [n] moved apart, as little as it takes, so that neighbours are at least `gap` apart.

    Those that touch form a cluster around the mean of where its members wanted to be.
    """
    clusters: list[list[float]] = []
    for position in positions:
        clusters.append([position])
        while len(clusters) > 1 and _bottom(clusters[-1], gap) < _bottom(clusters[-2], gap) + len(clusters[-2]) * gap:
            clusters[-2:] = [clusters[-2] + clusters[-1]]
    placed = [_bottom(cluster, gap) + index * gap for cluster in clusters for index in range(len(cluster))]
    return np.array(placed)


def _bottom(cluster: list[float], gap: float) -> float:
    return sum(cluster) / len(cluster) - gap * (len(cluster) - 1) / 2


def _mark_growth(top: Axes, bottom: Axes, record: RunRecord, abscissa: Abscissa, theme: Theme) -> None:
    """Vertical lines where the model grew, with the new size above; labels that would overlap are stacked."""
    events = record.growth_events
    positions = _column([event.line for event in events], abscissa.key) / abscissa.unit
    for event, position, row in zip(events, positions, _label_rows(positions, top.get_xlim()[1]), strict=True):
        for axes in (top, bottom):
            axes.axvline(position, color=theme.text, linestyle=(0, (1, 2)), linewidth=1.2)
        top.annotate(
            "→ ?" if event.parameters is None else f"→ {short_number(event.parameters)}",
            xy=(position, 1),
            xycoords=top.get_xaxis_transform(),
            xytext=(0, 3 + 12 * row),
            textcoords="offset points",
            ha="center",
            fontsize=9,
        )


def _label_rows(positions: np.ndarray, width: float) -> list[int]:
    """Lowest rows in which labels at ascending positions on an axis of a width do not overlap."""
    last_in_row: list[float] = []
    rows = []
    for position in positions:
        free = (row for row, last in enumerate(last_in_row) if position - last >= LABEL_WIDTH * width)
        row = next(free, len(last_in_row))
        last_in_row[row : row + 1] = [position]
        rows.append(row)
    return rows
