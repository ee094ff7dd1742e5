"""Texts taken apart together, against the plain definition of `tokenformer.complexity.text.words` for each alone."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.plain_words import SentenceSplitter, words
from tokenformer.complexity.text import documents
from tokenformer.complexity.text.documents import analysed, text_batches
from tokenformer.complexity.text.words import PERIODS, letters, normalise

any_text = st.text(st.characters(exclude_categories=()))
marks_and_words = st.text(st.sampled_from("aB1 \n\n.!?…:\"')-–—_'é\u0301🙂,"), max_size=40)
texts_of_all_kinds = st.lists(any_text | marks_and_words, max_size=5)


@given(texts_of_all_kinds)
def test_words_are_those_of_each_text_alone(texts):
    found = analysed(texts)
    for index, text in enumerate(texts):
        numbers = found.word[found.document == index]
        assert [found.vocabulary[number] for number in numbers] == words(normalise(text).lower())


@given(texts_of_all_kinds)
def test_sentences_are_those_of_each_text_alone(texts):
    found = analysed(texts)
    for ends, sentence in ((PERIODS, found.sentence), (PERIODS + ":", found.colon_sentence)):
        expected = [len(SentenceSplitter(ends)(normalise(text))) for text in texts]
        np.testing.assert_array_equal(found.sentence_counts(sentence), np.maximum(expected, 1).astype(int))


@given(marks_and_words)
def test_sentences_have_the_words_of_the_pieces(text):
    found = analysed([text])
    pieces = SentenceSplitter(PERIODS)(normalise(text))
    np.testing.assert_array_equal(np.bincount(found.sentence), [len(words(piece)) for piece in pieces])


@given(texts_of_all_kinds)
def test_a_text_is_taken_apart_alike_whatever_stands_beside_it(texts):
    together = analysed(texts)
    alone = [analysed([text]) for text in texts]
    np.testing.assert_array_equal(together.word_counts, [one.word_counts[0] for one in alone])
    np.testing.assert_array_equal(
        together.sums(together.letter_counts[together.word]), [one.letter_counts[one.word].sum() for one in alone]
    )


def test_means_and_sums():
    found = analysed(["a bb ccc", "", "it's"])
    lengths = found.of_vocabulary(letters)[found.word]
    np.testing.assert_array_equal(found.sums(lengths), [6, 0, 3])
    np.testing.assert_array_equal(found.means(lengths), [2, 0, 3])
    np.testing.assert_array_equal(found.sentence_counts(found.sentence), [1, 1, 1])


@pytest.mark.parametrize("size", [1, 30, 10**9])
def test_batches_hold_all_texts_in_order(monkeypatch, size):
    monkeypatch.setattr(documents, "BATCH_CHARACTERS", size)
    texts = [f"text number {index}" for index in range(50)]
    batches = list(text_batches(texts))
    assert sum(batches, []) == texts
    assert all(sum(map(len, batch[:-1])) < size for batch in batches)


def test_texts_of_symbols_keep_them_as_words():
    found = analysed(["*** a", " *** 🙂\n\n***", "", "\ud800"])
    assert [found.vocabulary[number] for number in found.word] == ["a", "***", "🙂", "***", "\ufffd"]
    np.testing.assert_array_equal(found.sentence_counts(found.sentence), [1, 2, 1, 1])
