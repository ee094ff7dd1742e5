"""Words that a run will read, as its plan says: shown by `plan`, kept beside the run for its report."""

import numpy as np

from tokenformer.run_folder.reading import Reading, SourceReading
from tokenformer.trainer.run.prepared_run import PreparedRun


def planned_reading(run: PreparedRun) -> Reading:
    plan = run.plan
    return Reading(
        documents=plan.unique_documents,
        unique_words=plan.unique_words,
        words=plan.words_before(plan.samples),
        epochs=plan.epochs,
        sources=_sources(run),
        corpus=run.corpus.fingerprint,
    )


def _sources(run: PreparedRun) -> dict[str, SourceReading]:
    plan, names = run.plan, run.corpus.sources
    source, words = run.corpus.train.source.astype(np.int64), plan.document_words
    read, once = plan.order, np.unique(plan.order)
    tokens = np.bincount(source[read], plan.document_tokens[read], minlength=len(names))
    repeated = np.bincount(source[read], words[read], minlength=len(names))
    unique = np.bincount(source[once], words[once], minlength=len(names))
    return {
        name: SourceReading(
            share=float(tokens[index] / tokens.sum()),
            unique_words=int(unique[index]),
            epochs=float(repeated[index] / unique[index]) if unique[index] else 0.0,
        )
        for index, name in enumerate(names)
    }
