"""The tables of a comparison."""

from collections.abc import Sequence

import numpy as np

from tokenformer.experiments.analysis import Analysis, ContrastFound
from tokenformer.experiments.answer.pictures import difficulty_losses
from tokenformer.experiments.answer.text_table import TextTable
from tokenformer.experiments.records import Record


def arms_table(analysis: Analysis) -> TextTable:
    """A row for each arm: its size and budget, and its outcome with the deviation over seeds."""
    rows = []
    for arm, settings in analysis.grid.content.arms.items():
        records = analysis.records[arm]
        if not records:
            rows.append((arm, settings.title, "0", *[""] * 6, _forecast(analysis, arm)))
            continue
        losses = [record["outcome"] for record in records]
        spread = f"{np.std(losses, ddof=1):.4f}" if len(losses) > 1 else ""
        rows.append(
            (
                arm,
                settings.title,
                str(len(records)),
                _parameters(records),
                f"{_mean(records, 'words') / 1e6:.3f}M",
                f"{_mean(records, 'flops'):.3e}",
                f"{_mean(records, 'seconds'):,.0f}",
                f"{np.mean(losses):.4f}",
                spread,
                _forecast(analysis, arm),
            )
        )
    headings = ("arm", "what it is", "seeds", "parameters", "words", "FLOPs", "seconds", "held-out loss", "SD")
    if not analysis.forecasts:
        return TextTable(headings, tuple(row[:-1] for row in rows))
    return TextTable((*headings, "forecast (80 %)"), tuple(rows))


def _forecast(analysis: Analysis, arm: str) -> str:
    found = analysis.forecasts.get(arm)
    return "" if found is None else f"{found[0]:.3f} ({found[1]:.3f} to {found[2]:.3f})"


def _parameters(records: Sequence[Record]) -> str:
    growth = records[0]["growth"]
    first = growth[0]["parameters_before"] if growth else records[0]["parameters"]
    last = records[0]["parameters"]
    return f"{last / 1e6:.2f}M" if first == last else f"{first / 1e6:.2f}M to {last / 1e6:.2f}M"


def _mean(records: Sequence[Record], key: str) -> float:
    return float(np.mean([record[key] or 0.0 for record in records]))


def contrasts_table(analysis: Analysis) -> TextTable:
    """A row for each contrast, its numbers or what is missing."""
    rows = tuple(_contrast_row(found) for found in analysis.contrasts)
    headings = ("contrast", "asks", "expected", "pairs", "difference", "95 % interval", "p", "equal: p")
    return TextTable((*headings, "found with 80 % power", "over documents too"), rows)


def _contrast_row(found: ContrastFound) -> tuple[str, ...]:
    contrast, difference = found.contrast, found.difference
    named = f"{contrast.first} - {contrast.second}"
    name = named if contrast.name == named else f"{contrast.name}: {named}"
    kind = f"{contrast.asks} (confirmatory)" if contrast.confirmatory else contrast.asks
    if difference is None:
        return (name, kind, contrast.expected, f"{len(found.missing)} runs missing", *[""] * 6)
    if difference.p is None or found.documents is None:
        return (name, kind, contrast.expected, "1", f"{difference.mean:+.4f}", *[""] * 5)
    return (
        name,
        kind,
        contrast.expected,
        str(difference.n),
        f"{difference.mean:+.4f}",
        f"{difference.low:+.4f} to {difference.high:+.4f}",
        f"{found.corrected_p:.2g}",
        f"{found.equivalence_p:.2g}",
        f"{found.detectable:.4f}",
        f"{found.documents[0]:+.4f} to {found.documents[1]:+.4f}",
    )


def sources_table(analysis: Analysis) -> TextTable | None:
    """Final held-out loss of every arm by source, mean over seeds."""
    arms = [arm for arm, records in analysis.records.items() if records]
    finals = {arm: [record["validations"][-1]["by_source"] for record in analysis.records[arm]] for arm in arms}
    sources = list(finals[arms[0]][0])
    rows = [
        (source, *(f"{np.mean([final[source] for final in finals[arm]]):.4f}" for arm in arms)) for source in sources
    ]
    return TextTable(("source", *arms), tuple(rows))


def difficulty_table(analysis: Analysis) -> TextTable:
    """Final held-out loss of every arm by fifths of difficulty, mean over seeds."""
    arms = [arm for arm, records in analysis.records.items() if records]
    losses = {arm: difficulty_losses(analysis.records[arm]) for arm in arms}
    levels = range(len(losses[arms[0]]))
    rows = [(f"{level + 1}", *(f"{losses[arm][level]:.4f}" for arm in arms)) for level in levels]
    return TextTable(("fifth, easy to hard", *arms), tuple(rows))


def benchmarks_table(analysis: Analysis) -> TextTable | None:
    """Accuracy in percent of every arm by task and group, mean over seeds; None without benchmarks."""
    arms = [arm for arm, records in analysis.records.items() if records and records[0]["benchmarks"]]
    if not arms:
        return None
    rows = []
    for task, score in analysis.records[arms[0]][0]["benchmarks"].items():
        accuracies = [[record["benchmarks"][task]["accuracy"] for record in analysis.records[arm]] for arm in arms]
        rows.append((task, f"{100 * score['chance']:.1f}", *map(_percent, accuracies)))
        for group in score["groups"]:
            in_group = [
                [record["benchmarks"][task]["groups"][group] for record in analysis.records[arm]] for arm in arms
            ]
            rows.append((f"- {group}", "", *map(_percent, in_group)))
    return TextTable(("task", "chance", *arms), tuple(rows))


def _percent(values: Sequence[float]) -> str:
    deviation = f" ± {100 * np.std(values, ddof=1):.1f}" if len(values) > 1 else ""
    return f"{100 * np.mean(values):.1f}{deviation}"


def benchmark_differences(analysis: Analysis) -> TextTable | None:
    """The contrasts in benchmarks, in percentage points; None without benchmarks."""
    rows = []
    for found in analysis.benchmarks:
        difference = found.difference
        interval = ""
        if difference.low is not None and difference.high is not None:
            interval = f"{100 * difference.low:+.2f} to {100 * difference.high:+.2f}"
        items = f"{100 * found.items[0]:+.2f} to {100 * found.items[1]:+.2f}"
        rows.append((found.contrast, found.task, f"{100 * difference.mean:+.2f}", interval, items))
    headings = ("contrast", "task", "points", "95 % interval over seeds", "over items and seeds")
    return TextTable(headings, tuple(rows)) if rows else None


def tuning_table(analysis: Analysis) -> TextTable | None:
    """The outcome of every trial; the chosen value is marked. None without tuning."""
    tuning = analysis.grid.content.tuning
    if tuning is None or not analysis.trials:
        return None
    rows = []
    for found in analysis.trials:
        cells = [
            f"{found.outcomes[value]:.4f}{' *' if value == found.chosen else ''}" if value in found.outcomes else ""
            for value in tuning.values
        ]
        rows.append((found.arm, *cells, "yes" if found.at_edge else ""))
    return TextTable(("arm", *map(str, tuning.values), "at an edge"), tuple(rows))
