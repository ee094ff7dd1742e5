"""The answer to a grid as a page that needs nothing but itself, as Markdown, and as a few lines for the terminal."""

from html import escape

from tokenformer.experiments.analysis import Analysis, analysed
from tokenformer.experiments.answer.pictures import ABSCISSAE, by_difficulty, curves, forest_plot
from tokenformer.experiments.answer.sentences import answer, contrast_sentence, speed_up_sentence
from tokenformer.experiments.answer.tables import (
    arms_table,
    benchmark_differences,
    benchmarks_table,
    contrasts_table,
    difficulty_table,
    sources_table,
    tuning_table,
)
from tokenformer.experiments.answer.text_table import TextTable
from tokenformer.experiments.runs import RunList
from tokenformer.files import write_atomically
from tokenformer.reports.page import document

PAGE, TABLE = "page.html", "table.md"

STYLE = """
td { white-space: normal; min-width: 4.2rem; }
td.words { text-align: left; min-width: 9rem; }
@media (max-width: 40rem) { .wide img { min-width: 36rem; } }
@media print { :root { --background: #fff; --text: #000; --faint: #444; --line: #999; }
  details { display: block; } .wide { overflow: visible; } .wide img { min-width: 0; } h2 { break-after: avoid; } }
"""

LIMITS = (
    "One machine, one corpus, models of a few million parameters: what holds here need not hold for larger ones.",
    "Intervals are over seeds of initialisation and of the order of the text, and hold for this held-out text; the "
    "column 'over documents too' asks for more.",
    "Contrasts that are not confirmatory are not corrected for their number.",
    "Seconds depend on what else the machine was doing.",
)


def write_answer(runs: RunList) -> str:
    """Writes the page and the table into the results, and returns the answer for the terminal.

    Raises:
        UserError: there are no records, or a package of the extra [report] is missing.
    """
    analysis = analysed(runs)
    folder = runs.places.results
    write_atomically(folder / TABLE, markdown(analysis))
    write_atomically(folder / PAGE, page(analysis))
    write_atomically(folder / "grid.yaml", runs.grid.path.read_text(encoding="utf-8"))
    return "\n".join([answer(analysis), *analysis.deviations, f"See {folder / PAGE} and {folder / TABLE}"])


def page(analysis: Analysis) -> str:
    """The page as HTML."""
    content = analysis.grid.content
    title = content.title or analysis.grid.name
    sections = [
        f"<h1>{escape(title)}</h1>",
        f"<p>{escape(content.question)}</p>",
        f'<p class="verdict">{escape(answer(analysis))}</p>',
        f"<p><small>Decided beforehand: {escape(content.decision)}</small></p>",
        f"<p><small>Expected beforehand: {escape(content.expected)}</small></p>" if content.expected else "",
        "<h2>Contrasts</h2>",
        forest_plot(analysis.contrasts, content.equivalent),
        contrasts_table(analysis).html(),
        _bullets([contrast_sentence(found, analysis) for found in analysis.contrasts]),
        *_speed_ups(analysis),
        "<h2>Arms</h2>",
        arms_table(analysis).html(),
        "<h2>Curves</h2>",
        *(curves(analysis.records, key) for key in ABSCISSAE),
        "<h2>By difficulty and by source</h2>",
        by_difficulty(analysis.records),
        difficulty_table(analysis).html(),
        "<p></p>",
        _html(sources_table(analysis)),
        *_benchmarks(analysis),
        *_tuning(analysis),
        "<h2>Deviations</h2>",
        _bullets(analysis.deviations or ["None: every run is as the grid says."]),
        "<h2>Limits</h2>",
        _bullets(list(LIMITS)),
        *_repeating(analysis),
    ]
    return document(title, sections, STYLE)


def _html(table: TextTable | None) -> str:
    return "" if table is None else table.html()


def _bullets(sentences: list[str]) -> str:
    return "<ul>" + "".join(f"<li>{escape(sentence)}</li>" for sentence in sentences) + "</ul>" if sentences else ""


def _speed_ups(analysis: Analysis) -> list[str]:
    if not analysis.speed_ups:
        return []
    return ["<h2>Cost at equal loss</h2>", _bullets([speed_up_sentence(found) for found in analysis.speed_ups])]


def _benchmarks(analysis: Analysis) -> list[str]:
    table = benchmarks_table(analysis)
    if table is None:
        return []
    note = "Accuracy in percent, mean and standard deviation over seeds; then the contrasts in points."
    return [
        "<h2>Benchmarks</h2>",
        f"<p><small>{note}</small></p>",
        table.html(),
        "<p></p>",
        _html(benchmark_differences(analysis)),
    ]


def _tuning(analysis: Analysis) -> list[str]:
    table, tuning = tuning_table(analysis), analysis.grid.content.tuning
    if table is None or tuning is None:
        return []
    alike = {arm: settings.tuned_as for arm, settings in analysis.grid.content.arms.items() if settings.tuned_as}
    borrowed = "".join(f" {arm} takes the value of {other}." for arm, other in alike.items())
    note = (
        f"Held-out loss after trials of {tuning.key}, the same values for every arm, with seeds "
        f"{', '.join(map(str, tuning.seeds))} that are not used again; * is chosen.{borrowed}"
    )
    return ["<h2>Tuning</h2>", f"<p><small>{escape(note)}</small></p>", table.html()]


def _repeating(analysis: Analysis) -> list[str]:
    """How to make it all again: the commands, the grid, and the settings of every run."""
    grid = analysis.grid
    commands = [*grid.content.preparation, f"tokenformer compare {grid.shown}"]
    parts = ["<h2>To repeat it</h2>", f"<pre>{escape(chr(10).join(commands))}</pre>"]
    parts.append(f"<details><summary>{escape(grid.shown)}, hash {grid.hash[:12]}</summary>")
    parts.append(f"<pre>{escape(grid.path.read_text(encoding='utf-8'))}</pre></details>")
    for arm, records in analysis.records.items():
        if records:
            parts.append(f"<details><summary>one run of {escape(arm)}</summary>")
            parts.append(f"<pre>{escape(records[0]['command'])}</pre></details>")
    return parts


def markdown(analysis: Analysis) -> str:
    """The tables and sentences as Markdown."""
    content = analysis.grid.content
    parts = [
        f"# {content.title or analysis.grid.name}",
        content.question,
        f"**{answer(analysis)}**",
        f"Decided beforehand: {content.decision}",
        contrasts_table(analysis).markdown(),
        "\n".join(f"- {contrast_sentence(found, analysis)}" for found in analysis.contrasts),
        "\n".join(f"- {speed_up_sentence(found)}" for found in analysis.speed_ups),
        arms_table(analysis).markdown(),
        difficulty_table(analysis).markdown(),
    ]
    tables = (benchmarks_table(analysis), benchmark_differences(analysis), tuning_table(analysis))
    parts += [table.markdown() for table in tables if table is not None]
    parts.append("\n".join(f"- {text}" for text in analysis.deviations))
    parts.append(f"Grid {analysis.grid.name}, hash {analysis.grid.hash[:12]}.")
    return "\n\n".join(filter(None, parts)) + "\n"
