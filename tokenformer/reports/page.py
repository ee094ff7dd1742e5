"""The report as one HTML page that needs nothing but itself: no script, no font, no picture from elsewhere."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from html import escape

from tokenformer.reports.tables import (
    Table,
    course_table,
    evaluation_table,
    footnotes,
    growth_sentence,
    stage_table,
    verdict,
)
from tokenformer.run_folder.record import RunRecord

STYLE = """
:root { color-scheme: light dark; --background: #ffffff; --text: #222222; --faint: #6b6b6b; --line: #d9d9d9; }
@media (prefers-color-scheme: dark) {
  :root { --background: #16181c; --text: #e6e6e6; --faint: #a3a8b0; --line: #3d4148; }
}
body { background: var(--background); color: var(--text); font: 16px/1.5 system-ui, sans-serif;
  max-width: 72rem; margin: 0 auto; padding: 1rem; }
h1 { font-size: 1.5rem; margin: 0 0 .5rem; overflow-wrap: anywhere; }
h2 { font-size: 1.15rem; margin: 2rem 0 .5rem; }
.verdict { font-size: 1.15rem; }
.wide { overflow-x: auto; }
.wide img { display: block; width: 100%; min-width: 44rem; height: auto; }
table { border-spacing: 0; font-variant-numeric: tabular-nums; font-size: .85rem; white-space: nowrap; }
th, td { padding: .25rem .45rem; text-align: right; font-weight: normal; }
tbody th { text-align: left; position: sticky; left: 0; background: var(--background); }
thead th { color: var(--faint); }
thead tr:first-child th { text-align: center; color: var(--text); font-weight: 600; }
thead tr:last-child th { border-bottom: 1px solid var(--line); }
.first { border-left: 1px solid var(--line); }
@media (max-width: 40rem) { tbody th { white-space: normal; min-width: 6.5rem; } }
small, .footnotes { color: var(--faint); }
pre { overflow-x: auto; font-size: .85rem; border: 1px solid var(--line); padding: .5rem; }
"""

_PICTURE = (
    "Held-out and training loss against words seen and against training FLOPs, growth events marked; "
    "text complexity and number of parameters below"
)


def page(record: RunRecord, light_picture: bytes, dark_picture: bytes) -> str:
    """The page of a run; the pictures are PNG files for a light and for a dark background."""
    evaluations = evaluation_table(record)
    sections = [
        f"<h1>{escape(record.name)}</h1>",
        f'<p class="verdict">{escape(verdict(record))}</p>',
        picture(light_picture, dark_picture, 2000, 1280, _PICTURE),
        "<h2>Stages and baselines</h2>",
        "<p><small>Words, tokens and training FLOPs are totals since the start of the run. Loss is held-out loss in "
        "nats per token.</small></p>",
        _table(stage_table(record)),
        "<h2>Course of the training</h2>",
        _table(course_table(record)),
        evaluations and "<h2>Live evaluations</h2><p><small>Accuracy and its standard error, percent.</small></p>",
        evaluations and _table(evaluations),
        _bullets([growth_sentence(event) for event in record.growth_events], "<h2>Growth</h2>", "growth"),
        _bullets(footnotes(record), "<h2>Notes</h2>", "footnotes"),
        "<h2>Configuration</h2>",
        f"<details><summary>config.yaml</summary><pre>{escape(record.config_text)}</pre></details>",
    ]
    return document(record.name, sections)


def document(title: str, sections: Iterable[str], style: str = "") -> str:
    """A whole page; empty sections are left out, and `style` is CSS beyond STYLE."""
    return "\n".join(
        [
            '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{escape(title)}</title>\n<style>{STYLE}{style}</style>\n</head>\n<body>",
            *filter(None, sections),
            "</body>\n</html>\n",
        ]
    )


def picture(light: bytes, dark: bytes, width: int, height: int, description: str) -> str:
    """PNG files for a light and for a dark background, of so many pixels each, inside the page."""
    return (
        f'<div class="wide"><picture><source media="(prefers-color-scheme: dark)" srcset="{_data_address(dark)}">'
        f'<img src="{_data_address(light)}" width="{width}" height="{height}" alt="{escape(description)}">'
        "</picture></div>"
    )


def _data_address(png: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(png).decode('ascii')}"


def _table(table: Table) -> str:
    headings = "".join(
        f'<th class="first" colspan="{len(group.columns)}">{escape(group.heading)}</th>' for group in table.groups
    )
    columns = "".join(_cells("th", group.columns) for group in table.groups)
    rows = "".join(
        f'<tr><th scope="row">{escape(name)}</th>'
        + "".join(_cells("td", group.rows[index] or ("",) * len(group.columns)) for group in table.groups)
        + "</tr>\n"
        for index, name in enumerate(table.names)
    )
    return (
        f'<div class="wide"><table>\n<thead><tr><th></th>{headings}</tr>\n<tr><th></th>{columns}</tr></thead>\n'
        f"<tbody>\n{rows}</tbody>\n</table></div>"
    )


def _cells(tag: str, texts: tuple[str, ...]) -> str:
    first = [' class="first"', *[""] * (len(texts) - 1)]
    return "".join(f"<{tag}{mark}>{escape(text)}</{tag}>" for mark, text in zip(first, texts, strict=True))


def _bullets(sentences: list[str], heading: str, name: str) -> str:
    """A headed list, nothing at all without sentences."""
    if not sentences:
        return ""
    return f'{heading}\n<ul class="{name}">' + "".join(f"<li>{escape(text)}</li>" for text in sentences) + "</ul>"
