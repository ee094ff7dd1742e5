"""The picture of a benchmark: how many times the bare matrix products each implementation takes, by shape."""

from collections.abc import Sequence
from pathlib import Path


def draw_ratios(rows: Sequence[dict], title: str, path: Path) -> None:
    """Bars of forward and backward together; `rows` as in the CSV."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    rows = [row for row in rows if row["pass"] == "both"]
    shapes, names = (list(dict.fromkeys(row[key] for row in rows)) for key in ("shape", "implementation"))
    figure, axes = pyplot.subplots(figsize=(2 + 1.4 * len(shapes), 4.5), layout="constrained")
    width = 0.8 / len(names)
    for number, name in enumerate(names):
        heights = {row["shape"]: row["ratio"] for row in rows if row["implementation"] == name}
        places = [index + (number - (len(names) - 1) / 2) * width for index in range(len(shapes))]
        axes.bar(places, [heights.get(shape, float("nan")) for shape in shapes], width, label=name)
    axes.axhline(1, color="black", linewidth=0.8)
    axes.set_xticks(range(len(shapes)), shapes, rotation=20, ha="right")
    axes.set_ylabel("time / time of the bare matrix products")
    axes.set_title(title)
    axes.legend(ncols=2, fontsize="small")
    figure.savefig(path, dpi=120)
    pyplot.close(figure)
