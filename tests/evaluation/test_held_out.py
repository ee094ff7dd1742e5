"""The held-out text in windows and levels: every token is counted once, whatever the window and the level."""

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenformer.errors import UserError
from tokenformer.evaluation.held_out import HeldOutLevel, held_out_levels, summarise

streams = st.lists(st.integers(0, 99), min_size=2, max_size=60).map(lambda ids: np.array(ids, dtype=np.int64))


@given(stream=streams, length=st.integers(1, 70))
def test_every_token_but_the_first_is_a_label_once_and_follows_its_input(stream, length):
    samples, mask = HeldOutLevel("level", stream, 1).windows(length)
    inputs, labels = samples[:, :-1], samples[:, 1:]
    assert samples.dtype == np.int64 and mask.dtype == np.bool_
    assert mask.shape == inputs.shape == (math.ceil((len(stream) - 1) / length), length)
    assert labels[mask].tolist() == stream[1:].tolist()
    assert inputs[mask].tolist() == stream[:-1].tolist()


@given(stream=streams, length=st.integers(1, 70))
def test_padding_is_at_the_end_alone_and_holds_a_token_of_the_vocabulary(stream, length):
    samples, mask = HeldOutLevel("level", stream, 1).windows(length)
    counted = mask.flatten()
    assert counted[: counted.sum()].all()
    assert mask.any(axis=1).all()
    assert (samples[:, 1:][~mask] == stream[0]).all()


def documents_of(level: HeldOutLevel, end: int) -> list[tuple[int, ...]]:
    """The documents of a stream, without their end tokens."""
    assert level.stream[0] == level.stream[-1] == end
    bounds = np.flatnonzero(level.stream == end)
    return [tuple(level.stream[a + 1 : b].tolist()) for a, b in zip(bounds, bounds[1:], strict=False)]


def held_out_documents(corpus, chosen=None) -> list[tuple[int, ...]]:
    table = corpus.validation
    chosen = range(len(table)) if chosen is None else chosen
    return [tuple(table.shards.document_tokens(document).tolist()[:-1]) for document in chosen]


@pytest.mark.parametrize("levels", ["source", 1, 2, 3, 7])
def test_every_held_out_document_is_in_one_level(corpus, levels):
    found = held_out_levels(corpus, levels)
    documents = [document for level in found for document in documents_of(level, corpus.end_of_document_id)]
    assert sorted(documents) == sorted(held_out_documents(corpus))
    assert sum(level.tokens for level in found) == int(corpus.validation.tokens.sum())
    assert sum(level.bytes for level in found) == int(corpus.validation.bytes.sum())


def test_levels_by_source_hold_the_documents_of_their_source_in_order(corpus):
    levels = held_out_levels(corpus, "source")
    assert [level.name for level in levels] == corpus.sources
    for index, level in enumerate(levels):
        chosen = np.flatnonzero(corpus.validation.source == index)
        assert documents_of(level, corpus.end_of_document_id) == held_out_documents(corpus, chosen)
        assert level.bytes == corpus.validation.bytes[chosen].sum()


def test_a_source_with_nothing_held_out_has_no_level(corpus):
    one = dataclasses.replace(corpus.validation, source=np.ones(len(corpus.validation), dtype=np.int32))
    levels = held_out_levels(dataclasses.replace(corpus, validation=one), "source")
    assert [level.name for level in levels] == [corpus.sources[1]]


@pytest.mark.parametrize("count", [1, 3, 5])
def test_levels_by_complexity_rise_and_are_of_equal_size(corpus, count):
    levels = held_out_levels(corpus, count)
    assert [level.name for level in levels] == [f"level-{index}" for index in range(1, count + 1)]
    complexities = {}
    for document, complexity in zip(held_out_documents(corpus), corpus.validation.complexity, strict=True):
        complexities.setdefault(document, []).append(complexity)
    found = [documents_of(level, corpus.end_of_document_id) for level in levels]
    sizes = [len(documents) for documents in found]
    assert max(sizes) - min(sizes) <= 1
    for easier, harder in zip(found, found[1:], strict=False):
        hardest = max(min(complexities[document]) for document in easier)
        assert hardest <= min(max(complexities[document]) for document in harder)


def test_more_levels_than_documents_are_as_many_as_there_are(corpus):
    assert len(held_out_levels(corpus, 10_000)) == len(corpus.validation)


@pytest.mark.parametrize("levels", ["words", "3", 0, -1, True, 2.5, None, ["source"]])
def test_other_levels_are_refused(corpus, levels):
    with pytest.raises(UserError, match="validation.levels is .*; it must be 'source' or a number of levels"):
        held_out_levels(corpus, levels)


def test_a_corpus_without_held_out_text_is_refused(corpus):
    columns = {name: values[:0] for name, values in corpus.validation.columns().items()}
    empty = dataclasses.replace(corpus, validation=dataclasses.replace(corpus.validation, **columns))
    with pytest.raises(UserError, match="has no held-out documents") as caught:
        held_out_levels(empty, "source")
    assert str(corpus.folder) in str(caught.value)


levels_with_losses = st.lists(
    st.tuples(st.integers(1, 500), st.integers(1, 5000), st.floats(0.01, 20)), min_size=1, max_size=5
)


@given(rows=levels_with_losses)
def test_the_whole_is_the_mean_of_the_levels_weighted_by_what_they_hold(rows):
    levels = [
        HeldOutLevel(f"l{i}", np.zeros(tokens + 1, dtype=np.int64), size) for i, (tokens, size, _) in enumerate(rows)
    ]
    metrics = summarise({f"l{i}": tokens * loss for i, (tokens, _, loss) in enumerate(rows)}, levels)
    tokens, sizes, losses = map(np.array, zip(*rows, strict=True))
    each = [metrics[f"val/loss{suffix}"] for suffix in [f"/l{i}" for i in range(len(rows))]]
    np.testing.assert_allclose(each, losses)
    assert metrics["val/loss"] == pytest.approx(np.average(losses, weights=tokens))
    bits = [metrics[f"val/bits_per_byte/l{i}"] for i in range(len(rows))]
    assert metrics["val/bits_per_byte"] == pytest.approx(np.average(bits, weights=sizes))
    assert len(metrics) == 2 * (len(rows) + 1)


def test_a_uniform_model_has_the_bits_of_its_vocabulary(corpus):
    levels = held_out_levels(corpus, "source")
    size = corpus.vocabulary_size
    metrics = summarise({level.name: level.tokens * math.log(size) for level in levels}, levels)
    table = corpus.validation
    assert metrics["val/loss"] == pytest.approx(math.log(size))
    assert metrics["val/bits_per_byte"] == pytest.approx(table.tokens.sum() * math.log2(size) / table.bytes.sum())
