"""The text that a run reads by its plan, in words; the record `reading.json`."""

from dataclasses import dataclass


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
class Reading:
    """The reading of a run to its last step.

    Args:
        documents: different documents.
        unique_words: whitespace words of these, each counted once.
        words: the same, repeats counted.
        epochs: tokens of the run, in epochs of what is selected of the corpus.
        sources: by name.
        corpus: its fingerprint; None in runs that began before it was recorded.
    """

    documents: int
    unique_words: int
    words: float
    epochs: float
    sources: dict[str, SourceReading]
    corpus: str | None = None
