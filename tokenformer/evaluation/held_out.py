"""The held-out text, cut into windows by difficulty level: the same tokens for every model that is measured on it."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from tokenformer.data.corpus import PreparedCorpus
from tokenformer.errors import UserError
from tokenformer.run_folder import keys


@dataclass(frozen=True)
class HeldOutLevel:
    """The held-out documents of one difficulty level.

    Args:
        name: of the level.
        stream: token ids int64 [1 + tokens]: the end-of-document token, then every document with its own at its end.
            All but the first are predicted.
        bytes: UTF-8 bytes of the documents' text.
    """

    name: str
    stream: np.ndarray
    bytes: int

    @property
    def tokens(self) -> int:
        """Tokens that are predicted."""
        return len(self.stream) - 1

    def windows(self, length: int) -> tuple[np.ndarray, np.ndarray]:
        """The stream as windows of `length` inputs and labels, int64 [windows, length + 1], and the mask of the labels
        that count, bool [windows, length]; each token is a label once. Padding repeats the first token.
        """
        count = math.ceil(self.tokens / length)
        padded = np.full(count * length + 1, self.stream[0], dtype=np.int64)
        padded[: len(self.stream)] = self.stream
        starts = np.arange(count) * length
        samples = padded[starts[:, None] + np.arange(length + 1)]
        mask = starts[:, None] + np.arange(length) < self.tokens
        return samples, mask


def _levels_by_source(corpus: PreparedCorpus) -> Iterator[tuple[str, np.ndarray]]:
    for index, source in enumerate(corpus.sources):
        documents = np.flatnonzero(corpus.validation.source == index)
        if len(documents):
            yield source, documents


def _levels_by_complexity(corpus: PreparedCorpus, count: int) -> Iterator[tuple[str, np.ndarray]]:
    by_complexity = np.argsort(corpus.validation.complexity, kind="stable")
    for index, documents in enumerate(np.array_split(by_complexity, count), start=1):
        if len(documents):
            yield f"level-{index}", np.sort(documents)


def held_out_levels(corpus: PreparedCorpus, levels: str | int) -> list[HeldOutLevel]:
    """The held-out text of a corpus.

    Args:
        levels: "source", or the number of complexity levels of about equally many documents.

    Raises:
        UserError: no held-out documents, or `levels` is neither.
    """
    if len(corpus.validation.tokens) == 0:
        raise UserError(f"{corpus.folder} has no held-out documents; prepare it again with a validation share or file")
    if levels == "source":
        groups = _levels_by_source(corpus)
    elif isinstance(levels, int) and not isinstance(levels, bool) and levels > 0:
        groups = _levels_by_complexity(corpus, levels)
    else:
        raise UserError(f"validation.levels is {levels!r}; it must be 'source' or a number of levels")
    shards = corpus.validation.shards
    start = np.array([corpus.end_of_document_id], dtype=np.int64)
    result = []
    for name, documents in groups:
        texts = [np.asarray(shards.document_tokens(document), dtype=np.int64) for document in documents]
        size = int(corpus.validation.bytes[documents].sum())
        result.append(HeldOutLevel(name, np.concatenate([start, *texts]), size))
    return result


def summarise(nats: dict[str, float], levels: list[HeldOutLevel]) -> dict[str, float]:
    """Losses under the names of the metrics file.

    Args:
        nats: the summed loss of each level.

    Returns:
        `val/loss` in nats a token and `val/bits_per_byte`, overall and with `/LEVEL` appended.
    """
    rows = [(f"/{level.name}", nats[level.name], level.tokens, level.bytes) for level in levels]
    rows.insert(
        0, ("", sum(nats.values()), sum(level.tokens for level in levels), sum(level.bytes for level in levels))
    )
    metrics = {}
    for suffix, loss, tokens, size in rows:
        metrics[f"{keys.HELD_OUT_LOSS}{suffix}"] = loss / tokens
        metrics[f"{keys.BITS_PER_BYTE}{suffix}"] = loss / math.log(2) / size
    return metrics
