"""The sample plan: which tokens every training sample holds, and how complex it is, fixed before training."""

import dataclasses
import hashlib
import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, overload

import numpy as np

from tokenformer.config.building import as_section, build_named
from tokenformer.curriculum.budget import check_epochs, check_word_budget
from tokenformer.curriculum.copies import Budget, Copies, DocumentTable, choose_copies
from tokenformer.curriculum.levels import with_neighbours_kept
from tokenformer.curriculum.mixture import Mixture, choose_mixed, mixed
from tokenformer.curriculum.orderings import ORDERINGS, Ordering
from tokenformer.curriculum.selections import selected
from tokenformer.errors import UserError

MAXIMUM_EPOCHS = 100_000


@dataclass(frozen=True)
class SamplePlan:
    """The stream of documents that a run reads, cut into samples.

    The documents `order[0], order[1], ...` follow one another without a gap, each with its end-of-document token.
    Sample i, inputs and shifted targets, is the tokens [i * L, i * L + L + 1) of this stream, L = `sequence_length`.

    Attributes:
        order: int64[m], document read at each position.
        document_tokens: int64[n], tokens of each document, end-of-document token included.
        document_words: int64[n], whitespace words of each document.
        document_complexity: float64[n], in the unit of the measure.
        document_weight: float64[n], how often an epoch holds each document; 0 where it is not selected.
        sequence_length: tokens of a sample that are trained on.
        samples: number of samples.
        fingerprint: sha256 of all inputs of `build_plan` and of the order, in hexadecimal.
    """

    order: np.ndarray
    document_tokens: np.ndarray
    document_words: np.ndarray
    document_complexity: np.ndarray
    document_weight: np.ndarray
    sequence_length: int
    samples: int
    fingerprint: str

    @cached_property
    def document_starts(self) -> np.ndarray:
        """int64[m + 1]: stream offset at which each position of `order` starts; the last is the end of the stream."""
        return _running_sum(self.document_tokens[self.order])

    @cached_property
    def sample_complexity(self) -> np.ndarray:
        """float64[samples]: mean complexity of the documents in each sample, by tokens, over [i * L, i * L + L)."""
        # Complexities are centred so that differences of the long running sum keep their digits.
        centre = self.document_complexity[self.order].mean()
        centred = (self.document_complexity - centre) * self.document_tokens
        boundaries = np.arange(self.samples + 1) * self.sequence_length
        return centre + np.diff(self._before(centred, boundaries)) / self.sequence_length

    @overload
    def words_before(self, sample_index: int) -> float: ...

    @overload
    def words_before(self, sample_index: np.ndarray) -> np.ndarray: ...

    def words_before(self, sample_index: int | np.ndarray) -> float | np.ndarray:
        """Whitespace words read before this sample, repeats counted; a document's words are spread over its tokens.

        `sample_index` (or an array of them) is in [0, samples]; the number of samples gives the words of the run.
        """
        index = np.asarray(sample_index)
        if np.any(index < 0) or np.any(index > self.samples):
            raise IndexError(f"sample index {sample_index} is not in [0, {self.samples}]")
        words = self._before(self.document_words.astype(np.float64), index * self.sequence_length)
        return words if index.ndim else float(words)

    @property
    def epochs(self) -> float:
        """Tokens that are trained on, in epochs of what is selected of the corpus, by the weights of its sources."""
        return self.samples * self.sequence_length / float(self.document_weight @ self.document_tokens)

    @cached_property
    def unique_documents(self) -> int:
        """Number of different documents that are read."""
        return np.unique(self.order).size

    @cached_property
    def unique_words(self) -> int:
        """Whitespace words of the different documents that are read, each counted once."""
        return int(self.document_words[np.unique(self.order)].sum())

    def smoothed_complexity(self, batch_size: int, smoothing: float) -> np.ndarray:
        """float64[steps]: what a trigger sees after step k, at index k - 1; steps = samples // batch_size.

        Exponential moving average e_k = smoothing * e_(k-1) + (1 - smoothing) * x_k from e_0 = 0, divided by
        1 - smoothing**k, where x_k is the mean complexity of the `batch_size` samples of step k.

        smoothing: in [0, 1); 0 gives x_k itself.
        """
        if not 0 <= smoothing < 1:
            raise UserError(f"smoothing of the complexity must be in [0, 1), not {smoothing!r}")
        steps = self.samples // batch_size
        means = self.sample_complexity[: steps * batch_size].reshape(steps, batch_size).mean(axis=1)
        weighted = ((1 - smoothing) * means).tolist()
        average = np.fromiter(itertools.accumulate(weighted, lambda e, x: smoothing * e + x), np.float64, count=steps)
        return average / (1 - smoothing ** np.arange(1, steps + 1))

    def _before(self, totals: np.ndarray, offset: np.ndarray) -> np.ndarray:
        """Sum of `totals` (float64[n], by document) over the stream before each token offset.

        A document of which only a part lies before the offset counts with that part.
        """
        position = np.searchsorted(self.document_starts, offset, side="right") - 1
        position = np.minimum(position, self.order.size - 1)
        document = self.order[position]
        part = (offset - self.document_starts[position]) / self.document_tokens[document]
        return _running_sum(totals[self.order])[position] + part * totals[document]


def build_plan(
    *,
    document_tokens: np.ndarray,
    document_words: np.ndarray,
    document_complexity: np.ndarray,
    sequence_length: int,
    ordering: str,
    total_tokens: int | None = None,
    total_words: int | None = None,
    tokens_per_step: int = 1,
    maximum_epochs: int | None = None,
    parameters: Mapping[str, Any] | None = None,
    selections: Sequence[Mapping[str, Any]] = (),
    mixture: Mapping[str, Any] | None = None,
    seed: int = 0,
    document_source: np.ndarray | None = None,
    source_weights: Sequence[float] | None = None,
    source_names: Sequence[str] | None = None,
    keep_neighbours: int | None = None,
) -> SamplePlan:
    """The plan of a run; a pure function.

    Args:
        document_tokens: int64[n], with the end-of-document token.
        document_words: int64[n].
        document_complexity: float64[n].
        ordering: key of `ORDERINGS`.
        parameters: the user's settings for the ordering.
        total_tokens: tokens that the run trains on, rounded down to whole samples; None where `total_words` decides.
        total_words: words that the run may read, rounded down to whole steps.
        tokens_per_step: tokens of a step; with `total_words` the run has whole steps.
        maximum_epochs: how often any document may be read at most; None is as often as it takes.
        selections: name and parameters of each of `SELECTIONS` that is applied, in order.
        mixture: shares of the sources, see `Mixture`; it takes the place of `source_weights`.
        document_source: int64[n], the number of each document's source.
        source_weights: how often an epoch holds the documents of each source (may be fractional); without them every
            document occurs once.
        source_names: name of each source.
        keep_neighbours: number of levels of difficulty within which a source is read as its files stand; None is none.

    Raises UserError for an unknown ordering, selection or parameter, a corpus without text, a complexity that is not
    finite, a run shorter than one sample or with more epochs than `maximum_epochs` or MAXIMUM_EPOCHS, and weights,
    selections or shares that are wrong or leave nothing to read.
    """
    documents = _documents(document_tokens, document_words, document_complexity, document_source, source_names)
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
        raise UserError(f"the seed must be a whole number that is not negative, not {seed!r}")
    if sequence_length < 1 or (total_tokens is not None and total_tokens < sequence_length):
        raise UserError(
            f"a run of {total_tokens} tokens has no sample of {sequence_length} tokens; train for more tokens or "
            "choose a shorter sequence length"
        )
    if total_tokens is not None and total_words is not None:
        raise ValueError("total_tokens and total_words are given; one of the two is needed")
    weight = _document_weights(documents.size, document_source, source_weights)
    weight = selected(documents, weight, selections, seed)
    shares = None if mixture is None else Mixture.of(mixture, documents.source_names)
    if shares is not None:
        weight = np.sign(weight)
    chosen = build_named({"name": ordering, **(parameters or {})}, ORDERINGS)
    budget = _budget(documents, weight, total_tokens, total_words, sequence_length, maximum_epochs)

    parts = _chosen(documents, weight, budget, shares, seed)
    for copies in parts:
        check_epochs(copies, maximum_epochs)
    tokens_read = int(sum(copies.tokens.sum() for copies in parts))
    order = _order(parts, shares, chosen, seed)
    if keep_neighbours is not None:
        order = with_neighbours_kept(order, documents.tokens, documents.complexity, documents.source, keep_neighbours)
    if total_tokens is None:
        total_tokens = _whole_steps(tokens_read, tokens_per_step, budget)
    return SamplePlan(
        order=order,
        document_tokens=documents.tokens,
        document_words=documents.words,
        document_complexity=documents.complexity,
        document_weight=weight,
        sequence_length=int(sequence_length),
        samples=int(total_tokens // sequence_length),
        fingerprint=_fingerprint(
            arrays=[documents.tokens, documents.words, documents.complexity, weight, order],
            settings={
                "ordering": ordering,
                "parameters": _as_written(chosen, parameters or {}),
                "selections": [dict(section) for section in selections],
                "mixture": None if shares is None else dataclasses.asdict(shares),
                "seed": int(seed),
                "total_tokens": int(total_tokens),
                "sequence_length": int(sequence_length),
            },
        ),
    )


def _budget(
    documents: DocumentTable,
    weight: np.ndarray,
    total_tokens: int | None,
    total_words: int | None,
    sequence_length: int,
    maximum_epochs: int | None,
) -> Budget:
    """The amount that the run reads; refuses more than there can be."""
    if total_words is not None:
        check_word_budget(documents, weight, total_words, maximum_epochs)
        _check_epochs(total_words, float(weight @ documents.words), "words")
        return Budget(total_words, "words")
    if total_tokens is None:
        raise ValueError("either total_tokens or total_words is needed")
    _check_epochs(total_tokens, float(weight @ documents.tokens), "tokens")
    # One more token than is trained on: the target of the last one.
    return Budget(total_tokens // sequence_length * sequence_length + 1)


def _whole_steps(tokens_read: int, tokens_per_step: int, budget: Budget) -> int:
    """Tokens that are trained on, of a stream that a budget in words was chosen for."""
    total_tokens = (tokens_read - 1) // tokens_per_step * tokens_per_step  # the last token is a target alone
    if total_tokens < 1:
        raise UserError(f"budget: {budget.size:,} words are less than a step of {tokens_per_step:,} tokens")
    return total_tokens


def _chosen(
    documents: DocumentTable, weight: np.ndarray, budget: Budget, mixture: Mixture | None, seed: int
) -> list[Copies]:
    """Chooses the copies: all in one, or with a mixture source by source."""
    if mixture is not None:
        return choose_mixed(documents, weight, mixture, budget, seed)
    return [choose_copies(documents, weight, budget, np.random.default_rng([seed, 0]))]


def _order(parts: list[Copies], mixture: Mixture | None, ordering: Ordering, seed: int) -> np.ndarray:
    """int64[m]: the documents in the order in which they are read."""
    if mixture is None:
        return parts[0].document[ordering.order(parts[0], np.random.default_rng([seed, 1]))]
    if not ordering.mixes_sources:
        raise UserError(
            f"the ordering '{ordering.name}' says when each source is read, and so does mixture; leave one of them out"
        )
    orders = [ordering.order(copies, np.random.default_rng([seed, 1, source])) for source, copies in enumerate(parts)]
    return mixed([copies.part(order) for copies, order in zip(parts, orders, strict=True)], mixture)


def _as_written(ordering: Ordering, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """All parameters of an ordering, those that the user gave as they were given: 1 stays 1, and is not 1.0."""
    section = as_section(ordering) | dict(parameters)
    return {key: value for key, value in section.items() if key != "name"}


def _documents(
    tokens: np.ndarray,
    words: np.ndarray,
    complexity: np.ndarray,
    source: np.ndarray | None,
    source_names: Sequence[str] | None,
) -> DocumentTable:
    tokens = np.ascontiguousarray(tokens, dtype=np.int64)
    words = np.ascontiguousarray(words, dtype=np.int64)
    complexity = np.ascontiguousarray(complexity, dtype=np.float64)
    _check_documents(tokens, words, complexity)
    source = np.zeros(tokens.size, np.int64) if source is None else np.asarray(source, dtype=np.int64)
    names = source_names or [f"source {number}" for number in range(int(source.max()) + 1)]
    return DocumentTable(tokens, words, complexity, source, tuple(names))


def _check_documents(tokens: np.ndarray, words: np.ndarray, complexity: np.ndarray) -> None:
    if not tokens.shape == words.shape == complexity.shape or tokens.ndim != 1:
        raise ValueError(f"three arrays [n] are needed, not {tokens.shape}, {words.shape}, {complexity.shape}")
    if not tokens.size:
        raise UserError("there are no documents to train on; check the paths of the training data")
    empty = np.flatnonzero(tokens < 1)
    if empty.size:
        raise UserError(f"document {empty[0]} has no tokens; prepare the data again")
    unscored = np.flatnonzero(~np.isfinite(complexity))
    if unscored.size:
        raise UserError(
            f"{unscored.size} of {tokens.size} documents have no finite complexity, document {unscored[0]} first; "
            "prepare the data again with a measure that holds for its language"
        )


def _check_epochs(total: int, epoch: float, unit: str) -> None:
    if total > MAXIMUM_EPOCHS * epoch:
        raise UserError(
            f"{total} {unit} would read the corpus ({epoch:g} {unit} by the weights of its sources) more "
            f"than {MAXIMUM_EPOCHS} times; add text, raise the weights or train for fewer {unit}"
        )


def _document_weights(
    documents: int, document_source: np.ndarray | None, source_weights: Sequence[float] | None
) -> np.ndarray:
    if document_source is None and source_weights is None:
        return np.ones(documents)
    if document_source is None or source_weights is None:
        raise ValueError("document_source and source_weights belong together; one of them is missing")
    weights = np.asarray(source_weights, dtype=np.float64)
    if not np.all(np.isfinite(weights)) or np.any(weights < 0):
        raise UserError(f"weights of sources must be finite and not negative: {weights.tolist()}")
    weight = weights[np.asarray(document_source, dtype=np.int64)]
    if not np.any(weight > 0):
        raise UserError("every source with documents has weight 0, so there is nothing to train on")
    return weight


def _running_sum(values: np.ndarray) -> np.ndarray:
    """[0, v0, v0 + v1, ...]"""
    return np.concatenate([np.zeros(1, values.dtype), np.cumsum(values)])


def _fingerprint(arrays: Sequence[np.ndarray], settings: Mapping[str, Any]) -> str:
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    for array in arrays:
        digest.update(f"{array.dtype.str}{array.shape}".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()
