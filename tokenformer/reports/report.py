"""The report of a run: a table for the terminal, a picture and a page in the run's folder."""

from __future__ import annotations

from pathlib import Path

from tokenformer.files import write_atomically
from tokenformer.reports.page import page
from tokenformer.reports.pictures import DARK, LIGHT, loss_picture
from tokenformer.reports.tables import (
    course_table,
    evaluation_table,
    footnotes,
    growth_sentence,
    stage_table,
    to_text,
    verdict,
)
from tokenformer.run_folder.names import PAGE, PICTURE
from tokenformer.run_folder.record import RunRecord


def write_report(run_folder: Path, width: int | None = None) -> str:
    """Writes `loss.png` and `report.html` into a run's folder and returns the report as text for the terminal.

    The text has a row for each stage and each baseline, the comparison of the final held-out loss with the trigram
    baseline in one sentence, the growth events, and notes; its table keeps to `width` characters a line, by
    default those of the terminal. Each file is
    replaced as a whole or not at all. A run that is still going can be reported on. Raises UserError if `run_folder` is
    not a run's folder or has no step yet, MissingExtraError if matplotlib is not installed.
    """
    record = RunRecord.open(run_folder)
    light, dark = loss_picture(record, LIGHT), loss_picture(record, DARK)
    write_atomically(record.folder / PICTURE, light)
    write_atomically(record.folder / PAGE, page(record, light, dark))
    return report_text(record, width)


def report_text(record: RunRecord, width: int | None = None) -> str:
    """The report as text; only the table keeps to `width`, sentences are left for the terminal to wrap."""
    evaluations = evaluation_table(record)
    paragraphs = [
        "Loss: held-out, nats per token. Words, tokens and training FLOPs: since the start of the run.",
        to_text(stage_table(record), width),
        verdict(record),
        to_text(course_table(record), width),
        evaluations and f"Accuracy of live evaluations, percent.\n\n{to_text(evaluations, width)}",
        "\n".join(growth_sentence(event) for event in record.growth_events),
        "\n".join(f"Note: {note}" for note in footnotes(record)),
    ]
    return "\n\n".join(filter(None, paragraphs))
