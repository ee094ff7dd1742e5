import sys

import numpy as np
import pytest

from tokenformer.complexity import MEASURES
from tokenformer.complexity.measures.lexical import RARE_WORDS, VOCABULARY_RARITY, WORD_RARITY, word_rarity_of
from tokenformer.errors import MissingExtraError


def rarity(word: str, language: str = "en") -> float:
    return 9 - pytest.importorskip("wordfreq").zipf_frequency(word, language)


def test_rarity_is_nine_minus_zipf():
    rarities = [rarity(word) for word in ("the", "cat", "zyzzyva")]
    np.testing.assert_allclose([word_rarity_of(word, "en") for word in ("the", "cat", "zyzzyva")], rarities)
    assert rarities == sorted(rarities) and word_rarity_of("qqqxyzzy" * 20, "en") == 9


def test_means_over_words_and_over_different_words():
    the, cat = rarity("the"), rarity("cat")
    texts = ["The the the cat.", "", "the"]
    np.testing.assert_allclose(WORD_RARITY(texts, "en"), [(3 * the + cat) / 4, 0, the])
    np.testing.assert_allclose(VOCABULARY_RARITY(texts, "en"), [(the + cat) / 2, 0, the])


def test_rare_words_are_rarer_than_one_in_a_hundred_thousand():
    assert rarity("notwithstanding") > 5 > rarity("house")
    assert RARE_WORDS(["the house notwithstanding house", ""], "en").tolist() == [0.25, 0]


def test_languages_have_their_own_frequencies():
    assert rarity("och", "sv") < 3 < rarity("och", "en")
    assert WORD_RARITY(["och"], "sv")[0] < WORD_RARITY(["och"], "en")[0]


@pytest.mark.parametrize("name", ["word_rarity", "vocabulary_rarity", "rare_words"])
def test_the_extra_is_named_when_it_is_missing(monkeypatch, name):
    monkeypatch.setitem(sys.modules, "wordfreq", None)
    with pytest.raises(MissingExtraError, match=r"Word frequency needs.*wordfreq.*tokenformer\[curriculum\]"):
        MEASURES[name].fit([], "en")
