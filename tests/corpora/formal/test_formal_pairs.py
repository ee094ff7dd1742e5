"""Minimal pairs: one side in the language, the other not, and little between them."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.cases import refused
from tests.support.formal_oracles import ORACLES
from tokenformer.corpora.formal import LANGUAGES, formal_language
from tokenformer.corpora.formal.pairs import accuracy_item_of
from tokenformer.corpora.formal.sampling import Sample
from tokenformer.corpora.minimal_pairs import PAIRS, pairs_of


def test_every_language_has_pairs():
    assert [*PAIRS] == [*LANGUAGES, "code"]


@settings(max_examples=40)
@given(st.sampled_from([*LANGUAGES]), st.integers(1, 12), st.integers(0, 99))
def test_the_bad_sentence_is_wrong_and_as_long(name, n, seed):
    language = formal_language(name)
    pairs = pairs_of(name, n, seed)
    assert len(pairs) == n and pairs == pairs_of(name, n, seed)
    for pair in pairs:
        good, bad = pair.sentence_good.split(" "), pair.sentence_bad.split(" ")
        assert len(good) == len(bad)
        assert 1 <= sum(own != other for own, other in zip(good, bad, strict=True)) <= 2
        assert language.accepts(pair.sentence_good) and not language.accepts(pair.sentence_bad)
        assert ORACLES[name](language, pair.sentence_good) and not ORACLES[name](language, pair.sentence_bad)
        assert language.ground_truth(pair.sentence_good)["difficulty"] == pair.difficulty
    assert len({pair.sentence_good for pair in pairs}) == n


def test_pairs_are_spread_over_difficulties_and_kinds():
    pairs = pairs_of("dyck", 180, depth=6)
    assert set(Counter(pair.difficulty for pair in pairs).values()) == {30}
    assert {*Counter(pair.kind for pair in pairs)} == {"kind", "order", "count"}
    assert min(Counter(pair.kind for pair in pairs).values()) >= 55


def test_a_bad_bracket_is_never_wrong_by_its_depth_alone():
    deeper = formal_language("dyck", {"depth": 20})
    assert not any(deeper.accepts(pair.sentence_bad) for pair in pairs_of("dyck", 100, depth=2, longest=12))


def test_brackets_of_one_kind_have_no_wrong_kind():
    assert {pair.kind for pair in pairs_of("dyck", 20, kinds=1)} == {"order", "count"}


def test_an_arithmetic_question_has_one_right_answer():
    language = formal_language("arithmetic", {"modulus": 7})
    places = Counter()
    for number, draw in enumerate(Sample(language, {"pairs": 200}, 0)):
        item = accuracy_item_of(language, draw, number, seed=0)
        assert len(set(item.choices)) == len(item.choices) == 4
        right = [place for place, choice in enumerate(item.choices) if language.accepts(f"{item.question} {choice}")]
        assert right == [item.answer]
        places[item.answer] += 1
    assert min(places.values()) > 30


@refused(("latin", 1, "choose one of dyck"), ("equal_counts", 41, "40 different strings"), ("dyck", -1, "whole number"))
def test_pairs_that_cannot_be(name, n):
    pairs_of(name, n)


@pytest.mark.parametrize("name", ["regular", "context_free"])
@pytest.mark.parametrize("machine", range(8))
def test_every_string_of_a_drawn_machine_has_a_bad_neighbour(name, machine):
    small = {"states": 3, "letters": 2, "longest": 9} if name == "regular" else {"letters": 3, "longest": 6}
    language = formal_language(name, {**small, "machine": machine})
    available = sum(stratum.strings for stratum in language.strata())
    assert all(
        len(pair.sentence_good) == len(pair.sentence_bad)
        for pair in pairs_of(name, min(available, 150), **small, machine=machine)
    )
