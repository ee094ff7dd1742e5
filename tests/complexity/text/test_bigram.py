"""The bigram model against a direct implementation with dictionaries, and the sums that make it a distribution."""

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tokenformer.complexity.text.bigram import LONGEST_WORD, BigramModel, numbered_words
from tokenformer.complexity.text.documents import analysed

documents = st.lists(st.lists(st.sampled_from(["a", "b", "ab", "ba", "abba"]), max_size=12).map(" ".join), max_size=6)


def fitted(texts: list[str]) -> BigramModel:
    return BigramModel.fit(*numbered_words(texts))


def word_bits(model: BigramModel, text: str, left_out: bool = False) -> np.ndarray:
    return model.surprisal(model.read(analysed([text])), np.array([left_out]))


class DirectBigrams:
    """Interpolated Witten-Bell as the textbook writes it."""

    def __init__(self, texts: list[str], alphabet: int):
        self.alphabet = alphabet
        lines = [text.split() for text in texts]
        self.words = Counter(word for line in lines for word in line)
        self.pairs = Counter(pair for line in lines for pair in zip(line, line[1:], strict=False))
        self.contexts = Counter(previous for line in lines for previous in line[:-1])
        self.types = Counter(previous for previous, _ in self.pairs)

    def probability(self, word: str, previous: str | None) -> float:
        spelling = 1 / self.alphabet / (self.alphabet + 1) ** len(word)
        total, types = sum(self.words.values()), len(self.words)
        unigram = (self.words[word] + types * spelling) / (total + types) if total else spelling
        if not self.contexts[previous]:
            return unigram
        return (self.pairs[previous, word] + self.types[previous] * unigram) / (
            self.contexts[previous] + self.types[previous]
        )

    def bits(self, text: str) -> list[float]:
        line = text.split()
        return (
            [
                -math.log2(self.probability(word, previous))
                for previous, word in zip([None, *line[:-1]], line, strict=True)
            ]
            if line
            else []
        )


@given(documents, st.lists(st.sampled_from(["a", "ab", "abba", "c", "cab"]), max_size=12).map(" ".join))
def test_equals_a_direct_implementation(texts, text):
    model = fitted(texts)
    np.testing.assert_allclose(word_bits(model, text), DirectBigrams(texts, model.alphabet).bits(text), rtol=1e-12)


@given(documents.filter(len), st.data())
def test_leaving_a_document_out_equals_fitting_without_it(texts, data):
    out = data.draw(st.integers(0, len(texts) - 1))
    model = fitted(texts)
    direct = DirectBigrams(texts[:out] + texts[out + 1 :], model.alphabet)
    np.testing.assert_allclose(word_bits(model, texts[out], left_out=True), direct.bits(texts[out]), rtol=1e-12)


@given(documents)
def test_documents_do_not_touch_one_another(texts):
    model = fitted(texts)
    left_out = np.arange(len(texts)) % 2 == 0
    together = model.surprisal(model.read(analysed(texts)), left_out)
    apart = [word_bits(model, text, out) for text, out in zip(texts, left_out, strict=True)]
    np.testing.assert_array_equal(together, np.concatenate([np.empty(0), *apart]))


@pytest.mark.parametrize("previous", ["the", "cat", "mat", "unseen"])
def test_vocabulary_and_unknown_words_sum_to_one(previous):
    model = fitted(["the cat sat on the mat", "the dog sat", "a cat"])
    known = list(model.vocabulary)
    known_sum = sum(2.0 ** -word_bits(model, f"{previous} {word}")[-1] for word in known)
    # An unknown word costs its spelling and a price of the context, which this solves for.
    unknown = "xyz"
    spelling = model.spelling_bits(np.array([len(unknown)]))[0]
    price = 2.0 ** (spelling - word_bits(model, f"{previous} {unknown}")[-1])
    known_spellings = np.exp2(-model.spelling_bits(np.array([len(word) for word in known]))).sum()
    assert known_sum + price * (1 - known_spellings) == pytest.approx(1, rel=1e-12)


@pytest.mark.parametrize("texts", [["ab ba"], ["the quick brown fox"]])
def test_spellings_of_all_words_sum_to_one(texts):
    model = fitted(texts)
    lengths = np.arange(1, LONGEST_WORD + 1)
    words_of_length = float(model.alphabet) ** lengths
    assert (words_of_length * np.exp2(-model.spelling_bits(lengths))).sum() == pytest.approx(1, rel=1e-9)


def test_the_alphabet_is_what_was_seen_and_one_more():
    assert fitted(["ab ba", "C-c"]).alphabet == len("abc-") + 1


def test_case_makes_no_difference():
    np.testing.assert_array_equal(
        word_bits(fitted(["The CAT sat"]), "tHE cat"), word_bits(fitted(["the cat sat"]), "the cat")
    )


def test_longer_unknown_words_cost_more_up_to_a_bound():
    model = fitted(["a cat sat"])
    costs = [word_bits(model, "x" * length)[0] for length in (1, 5, 20, LONGEST_WORD, 1000)]
    assert costs[0] < costs[1] < costs[2] < costs[3] == costs[4]


@settings(max_examples=20)
@given(st.lists(st.text(), max_size=8))
def test_finite_whatever_the_documents(texts):
    model = fitted(texts)
    bits = model.surprisal(model.read(analysed(texts)), np.ones(len(texts), bool))
    assert np.isfinite(bits).all() and (bits >= 0).all()
