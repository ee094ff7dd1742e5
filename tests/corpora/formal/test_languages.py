"""The generators and the recognisers against one another, and both against oracles that share nothing with them."""

import hashlib
import os
import subprocess
import sys
from itertools import islice, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.cases import refused
from tests.support.formal_oracles import ORACLES, SMALL, all_texts
from tests.support.places import REPOSITORY
from tokenformer.complexity import score
from tokenformer.corpora.formal import LANGUAGES, formal_language
from tokenformer.corpora.formal.arithmetic import OPERATORS, Arithmetic, evaluated
from tokenformer.corpora.formal.context_free import derives
from tokenformer.corpora.formal.language import as_text
from tokenformer.corpora.formal.sampling import Sample

PARAMETERS = {
    "dyck": {"kinds": st.integers(1, 9), "depth": st.integers(1, 8), "longest": st.integers(16, 60)},
    "shuffle_dyck": {"kinds": st.integers(1, 4), "depth": st.integers(1, 5), "longest": st.integers(10, 30)},
    "equal_counts": {"letters": st.integers(2, 5), "largest": st.integers(1, 30), "repeats": st.integers(1, 4)},
    "arithmetic": {"operators": st.integers(1, 12), "modulus": st.sampled_from([0, 2, 5, 10])},
    "regular": {"states": st.integers(2, 12), "letters": st.integers(2, 4), "machine": st.integers(0, 50)},
    "context_free": {"nonterminals": st.integers(1, 6), "letters": st.integers(3, 5), "machine": st.integers(0, 50)},
}


@st.composite
def languages(draw):
    name = draw(st.sampled_from([*LANGUAGES]))
    return formal_language(name, {key: draw(values) for key, values in PARAMETERS[name].items()})


@st.composite
def strings(draw):
    """A language, one of its strata, and one of its strings."""
    language = draw(languages())
    stratum = draw(st.sampled_from(language.strata()))
    return language, stratum, as_text(language.symbols(stratum, draw(st.integers(0, stratum.strings - 1))))


def test_every_language_is_tried():
    assert [*LANGUAGES] == [*ORACLES] == [*PARAMETERS]


@settings(max_examples=150)
@given(strings())
def test_what_is_made_is_accepted_and_as_hard_as_it_says(drawn):
    language, stratum, text = drawn
    assert language.accepts(text)
    assert language.ground_truth(text)["difficulty"] == stratum.difficulty
    assert language.name == "arithmetic" or set(text.split(" ")) <= {*language.alphabet()}
    if language.name in ("dyck", "shuffle_dyck", "regular", "context_free"):
        assert len(text.split(" ")) == stratum.size


@settings(max_examples=100)
@given(strings(), st.data())
def test_the_recogniser_agrees_with_the_oracle_near_the_language(drawn, data):
    language, _, text = drawn
    symbols = text.split(" ")[:24]
    if language.name == "dyck" and language.kinds > 4:
        return
    for _ in range(3):
        place = data.draw(st.integers(0, len(symbols) - 1))
        symbols[place] = data.draw(st.sampled_from([*language.alphabet(), symbols[place]]))
        changed = as_text(symbols)
        assert language.accepts(changed) == ORACLES[language.name](language, changed), changed


@pytest.mark.parametrize(("language", "longest"), SMALL, ids=lambda value: str(value))
def test_all_short_strings_are_made_once_and_no_other_is_accepted(language, longest):
    made = [
        as_text(language.symbols(stratum, number)) for stratum in language.strata() for number in range(stratum.strings)
    ]
    assert len(made) == len(set(made)) > 0
    accepted = {text for text in all_texts(language, longest) if language.accepts(text)}
    assert accepted == {text for text in all_texts(language, longest) if ORACLES[language.name](language, text)}
    assert accepted == {text for text in made if len(text.split(" ")) <= longest}


def test_arithmetic_makes_every_expression_without_needless_brackets_once():
    language = Arithmetic(operators=2)
    by_hand = {f"{a} {o} {b}" for o in OPERATORS for a, b in product(range(10), repeat=2)}
    for a, b, c in product(range(10), repeat=3):
        for o, p in product(OPERATORS, repeat=2):
            by_hand.add(f"{a} {o} {b} {p} {c}")
            if p == "*" and o != "*":
                by_hand.add(f"( {a} {o} {b} ) {p} {c}")
            if o == "*" or p != "*":
                by_hand.add(f"{a} {o} ( {b} {p} {c} )")
    made = [
        as_text(language.symbols(stratum, number)[:-2])
        for stratum in language.strata()
        for number in range(stratum.strings)
    ]
    assert sorted(made) == sorted(by_hand)


def test_expressions_of_few_symbols_have_the_value_that_python_gives_them():
    for length in range(1, 7):
        for symbols in product(("2", "3", "-", "*", "(", ")"), repeat=length):
            text = as_text([*symbols])
            value = evaluated([*symbols])
            shown = "none" if value is None else str(value)
            assert ORACLES["arithmetic"](Arithmetic(), f"{text} = {shown}") == (value is not None), text


@pytest.mark.parametrize("name", LANGUAGES)
@pytest.mark.parametrize(
    "text",
    ["", " ", "(", "( )x", "(  )", " ( )", "( ) ", "()", "1 =", "= 1", "a  b c", "S", "\n", "1 + 1 = 02", "1 + 1 = +2"],
)
def test_anything_else_is_refused_and_never_raises(name, text):
    assert not formal_language(name).accepts(text)


def test_earley_recognises_ambiguous_and_left_recursive_grammars():
    """S -> S S | a | b S c, against counting: every prefix has no more c than b, and so on."""
    grammar = {"S": [("S", "S"), ("a",), ("b", "S", "c")]}

    def slowly(text: str) -> bool:
        while text != (shorter := text.replace("SS", "S").replace("bSc", "S").replace("a", "S")):
            text = shorter
        return text == "S"

    for length in range(1, 8):
        for symbols in product("abc", repeat=length):
            assert derives(grammar, "S", symbols) == slowly("".join(symbols))


@pytest.mark.parametrize("name", ["regular", "context_free"])
def test_other_machines_are_other_languages(name):
    assert len({str(formal_language(name, {"machine": machine}).rules()) for machine in range(10)}) == 10


@pytest.mark.parametrize("machine", range(5))
def test_no_automaton_of_fewer_states_would_do(machine):
    """Myhill and Nerode: the strings up to some length have as many different sets of continuations as states."""
    language = formal_language("regular", {"states": 5, "letters": 2, "machine": machine})
    tails = [*all_texts(language, 5)]
    continuations = {
        tuple(language.accepts(f"{head} {tail}".strip()) for tail in tails) for head in ["", *all_texts(language, 5)]
    }
    assert len(continuations - {(False,) * len(tails)}) == 5


WRONG = [
    ("dyck", {"depth": 0}, "depth is 0; it must be 1 or more and at most 50"),
    ("dyck", {"depth": 9, "longest": 10}, "set longest to 18 or more, or depth to 5 or less"),
    ("dyck", {"kinds": 1000}, "kinds is 1000; it must be 1 or more and at most 50"),
    ("dyck", {"dept": 3}, "did you mean depth"),
    ("shuffle_dyck", {"depth": 9, "longest": 10}, "set longest to 18"),
    ("equal_counts", {"letters": 1}, "2 or more"),
    ("arithmetic", {"modulus": 1}, "set modulus to 0"),
    ("arithmetic", {"operators": 61}, "at most 60"),
    ("regular", {"states": 1}, "2 or more"),
    ("regular", {"states": "many"}, "states is 'many'; it must be of type int"),
    ("context_free", {"letters": 27}, "at most 26"),
    ("context_free", {"nonterminals": 20, "letters": 2}, "set fewer nonterminals"),
    ("latin", {}, "choose one of dyck"),
]


@refused(*WRONG)
def test_settings_that_do_not_hold_say_what_would(name, parameters):
    formal_language(name, parameters)


def digests() -> dict[str, str]:
    found = {}
    for name in LANGUAGES:
        texts = [draw.text for draw in islice(Sample(formal_language(name), {"train": 40}, seed=3), 40)]
        found[name] = hashlib.sha256("\n".join(texts).encode()).hexdigest()[:16]
    return found


RECORDED = {
    "dyck": "2714ff4fae101508",
    "shuffle_dyck": "548bc582b5c5a547",
    "equal_counts": "95599e019186ec9c",
    "arithmetic": "b347a83d56ebe50b",
    "regular": "4d9e6aef9cdc47b0",
    "context_free": "762603a994955406",
}
"""Of the machine that wrote this test; another platform or version must not change what a seed means."""


def test_a_seed_means_the_same_strings_everywhere():
    assert digests() == RECORDED


def test_a_seed_means_the_same_strings_under_another_hash_seed():
    script = "from tests.corpora.formal.test_languages import RECORDED, digests; print(digests() == RECORDED)"
    environment = {**os.environ, "PYTHONHASHSEED": "77", "PYTHONPATH": str(REPOSITORY)}
    result = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True)
    assert result.stdout == "True\n", result.stderr


@pytest.mark.parametrize(("name", "least"), [("dyck", 0.9), ("shuffle_dyck", 0.9), ("arithmetic", 0.4)])
def test_the_measure_of_nesting_rises_with_the_difficulty(name, least):
    """Spearman's rank correlation, ties by their mean rank."""
    drawn = [*Sample(formal_language(name), {"train": 400}, seed=0)]
    ranks = [
        np.array([(values < value).sum() + ((values == value).sum() - 1) / 2 for value in values])
        for values in (
            score([each.text for each in drawn], language="formal"),
            np.array([each.stratum.difficulty for each in drawn]),
        )
    ]
    assert np.corrcoef(*ranks)[0, 1] > least
