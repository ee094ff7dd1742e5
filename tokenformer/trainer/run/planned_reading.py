"""Words that a run will read, as its plan says: shown by `plan`, kept beside the run for its report."""

from dataclasses import dataclass

import numpy as np

from tokenformer.trainer.run.prepared_run import PreparedRun


@dataclass(frozen=True)
class SourceReading:
    """The reading of one source.

    Args:
        share: of the tokens of the run.
        unique_words: words of the different documents that are read.
        epochs: how often these are read, on average by words.
    """

    share: float
    unique_words: int
    epochs: float


@dataclass(frozen=True)
class PlannedReading:
    """The reading of a run to its last step.

    Args:
        documents: different documents.
        unique_words: whitespace words of these, each counted once.
        words: the same, repeats counted.
        epochs: tokens of the run, in epochs of what is selected of the corpus.
        sources: by name.
    """

    documents: int
    unique_words: int
    words: float
    epochs: float
    sources: dict[str, SourceReading]

    @classmethod
    def of(cls, run: PreparedRun) -> "PlannedReading":
        plan = run.plan
        return cls(
            documents=plan.unique_documents,
            unique_words=plan.unique_words,
            words=plan.words_before(plan.samples),
            epochs=plan.epochs,
            sources=_sources(run),
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
