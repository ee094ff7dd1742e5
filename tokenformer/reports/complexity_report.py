"""`tokenformer score`: an answer for the terminal, and a page where one is asked for."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from tokenformer.curriculum.plan import SamplePlan
from tokenformer.data.text_collection import TextCollection
from tokenformer.errors import UserError
from tokenformer.files import write_atomically
from tokenformer.reports.complexity_page import complexity_page
from tokenformer.reports.complexity_text import answer
from tokenformer.reports.corpus_complexity import score_collection
from tokenformer.reports.options import ScoreOptions


def report_complexity(
    collection: TextCollection, options: ScoreOptions, page: Path | None = None, plan: SamplePlan | None = None
) -> str:
    """Scores the collection, writes the page if one is asked for, and returns the answer for the terminal.

    For quoted texts without a measure asked for, and for a page, every measure of the language is computed.
    `plan`: of a run that reads the collection, whose path of complexity the page shows; it is in the corpus's measure.

    Raises UserError as `score_collection` does, and for a page in a folder that is not there.
    """
    if page is not None and not page.resolve().parent.is_dir():
        raise UserError(f"the page {page} cannot be written: there is no folder {page.resolve().parent}")
    if plan is not None and collection.corpus and options.measure not in (None, collection.corpus.measure):
        raise UserError(
            f"the run reads its corpus by the measure '{collection.corpus.measure}', not '{options.measure}': leave "
            f"the measure out, or give the folder of the corpus instead of the run"
        )
    every_measure = page is not None or (collection.is_quoted and options.measure is None)
    found = score_collection(collection, dataclasses.replace(options, every_measure=every_measure))
    if page is not None:
        write_atomically(page, complexity_page(found, plan))
    return answer(found, collection.is_quoted)
