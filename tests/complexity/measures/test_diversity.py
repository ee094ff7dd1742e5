"""MATTR and MTLD against their definitions, written out word by word."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenformer.complexity.measures import diversity
from tokenformer.complexity.measures.diversity import MATTR, MTLD, THRESHOLD, WINDOW

texts_of_words = st.lists(st.sampled_from(list("abcdefghijklm")), max_size=200).map(" ".join)


def direct_mattr(words: list[str], window: int) -> float:
    size = min(window, len(words))
    ratios = [len(set(words[start : start + size])) / size for start in range(len(words) - size + 1) if size]
    return float(np.mean(ratios)) if ratios else 0.0


def direct_factors(words: list[str]) -> float:
    factors, kinds, size, ratio = 0.0, set(), 0, 1.0
    for word in words:
        kinds.add(word)
        size += 1
        ratio = len(kinds) / size
        if ratio <= THRESHOLD:
            factors, kinds, size, ratio = factors + 1, set(), 0, 1.0
    return factors + (1 - ratio) / (1 - THRESHOLD)


def direct_mtld(words: list[str]) -> float:
    if not words:
        return 0.0
    one_repetition = 1 / len(words) / (1 - THRESHOLD)
    return float(np.mean([len(words) / (direct_factors(order) or one_repetition) for order in (words, words[::-1])]))


@pytest.mark.parametrize("window", [1, 3, WINDOW])
@given(texts=st.lists(texts_of_words, max_size=4))
def test_mattr_is_the_mean_over_all_windows(window, texts):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(diversity, "WINDOW", window)
        expected = [direct_mattr(text.split(), window) for text in texts]
        np.testing.assert_allclose(MATTR(texts, "en"), expected, rtol=1e-12, atol=0)


@given(st.lists(texts_of_words, max_size=4))
def test_mtld_counts_words_off_in_both_directions(texts):
    np.testing.assert_allclose(MTLD(texts, "en"), [direct_mtld(text.split()) for text in texts], rtol=1e-9)


def test_different_words_alone_have_the_value_of_one_repetition():
    words = [f"{first}{second}" for first in "abcdefgh" for second in "abcde"]
    one_repetition = " ".join([*words[:-1], words[0]])
    assert MTLD([" ".join(words)], "en")[0] == pytest.approx(MTLD([one_repetition], "en")[0])


@given(st.lists(st.sampled_from([f"w{letter}" for letter in "abcdefghijklmnopqrstuvwxyz"]), min_size=60, max_size=200))
def test_changed_by_doubling_as_little_as_stated(words):
    text = " ".join(words)
    once, twice = MATTR([text, f"{text}\n\n{text}"], "en")
    assert abs(twice - once) < 49 / (2 * len(words) - 49)
    once, twice = MTLD([text, f"{text}\n\n{text}"], "en")
    assert abs(twice - once) < 2 / (len(words) / once) * once
