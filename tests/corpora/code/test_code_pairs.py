"""Minimal pairs of code: the good side is valid, the bad one is not, by compilation and by the names that it uses."""

import ast
from collections import Counter

import pytest

from tests.support.cases import cases
from tokenformer.corpora.code.edits import KINDS
from tokenformer.corpora.code.pairs import candidates_of, code_pairs, pair_of, pairs_from
from tokenformer.corpora.code.source_tree import SourceText
from tokenformer.corpora.code.syntax import block_depth, compiles, definitions, is_valid, unbound_names
from tokenformer.corpora.minimal_pairs import pairs_of
from tokenformer.errors import UserError

FILE = '''import os
LIMIT = 3


def first(paths, most=LIMIT):
    """Read (some) paths."""
    found = [os.path.join(p, "x") for p in paths if p != "["]
    for path in found:
        if len(path) > most and path not in paths:
            return path + str(most)
    return None


def second(numbers):
    total = 0
    while numbers:
        total = total + numbers.pop()
    return total


def broken(x):
    y = missing_from_this_file
    return x + y
'''


@pytest.fixture(scope="module")
def drawn():
    return pairs_of("code", 36, seed=4)


def test_pairs_of_the_standard_library(drawn):
    assert Counter(pair.kind for pair in drawn) == dict.fromkeys(KINDS, 6)
    for pair in drawn:
        assert compiles(pair.sentence_good)
        assert compiles(pair.sentence_bad) == (pair.kind == "undefined_name")
        assert pair.difficulty == block_depth(ast.parse(pair.sentence_good))
    assert len({pair.sentence_good for pair in drawn}) > 24


def test_an_undefined_name_is_one_more_than_in_the_good_text(drawn):
    for pair in drawn:
        if pair.kind == "undefined_name":
            assert len(unbound_names(pair.sentence_bad) - unbound_names(pair.sentence_good)) == 1


def test_little_is_changed(drawn):
    """One line, and in it one stretch: what is before and after it is equal."""
    for pair in drawn:
        good, bad = pair.sentence_good.split("\n"), pair.sentence_bad.split("\n")
        assert len(good) == len(bad)
        assert sum(own != other for own, other in zip(good, bad, strict=True)) == 1


def test_a_seed_means_the_same_pairs():
    assert code_pairs(6, 4) == code_pairs(6, 4) != code_pairs(6, 5)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_finds_something_in_an_ordinary_function(kind):
    first, second = candidates_of(SourceText("f.py", FILE))
    assert first.program.text.startswith("def first") and second.program.text.startswith("def second")
    pairs = {pair_of(first, kind, key).sentence_bad for key in range(20)}
    assert len(pairs) > 1
    assert not any(is_valid(bad, first.known) for bad in pairs)
    if kind == "undefined_name":
        names = set().union(*(unbound_names(bad) for bad in pairs)) - unbound_names(first.program.text)
        assert names <= {"numbers", "total", "x", "y"}
    if kind.startswith("bracket"):
        assert all('"""Read (some) paths."""' in bad and '"["' in bad for bad in pairs)


@cases(
    ("def f(a):\n    return a + b", {"b"}),
    ("def f(a, b=c):\n    return len(a)", {"c", "len"}),
    ("def f():\n    x = 1\n    def g():\n        return x + y\n    return g", {"y"}),
    ("import a.b as c\nfrom d import e\nc, e, a", {"a"}),
    ("def f():\n    global g\n    g = 1\n\ndef h():\n    return g", set()),
    ("class A:\n    b = 1\n    c = b\n    def d(self):\n        return b", {"b"}),
    ("[x for x in y]", {"y"}),
    ("@a\ndef f(): pass", {"a"}),
    ("def f(a: T) -> R: return f", {"T", "R"}),
)
def test_names_that_are_not_bound(text, unbound):
    assert unbound_names(text) == unbound


def test_a_file_with_names_from_everywhere_gives_no_pair():
    assert [*candidates_of(SourceText("f.py", f"from os import *\n{FILE}"))] == []


def test_too_few_functions():
    with pytest.raises(UserError, match="ask for fewer"):
        pairs_from(candidates_of(SourceText("f.py", FILE)), 100, seed=0)


@pytest.mark.parametrize(("n", "parameters"), [(-1, {}), (1.5, {}), (1, {"depth": 3})])
def test_arguments_that_do_not_hold(n, parameters):
    with pytest.raises(UserError, match="set it to a whole number|they take: source"):
        pairs_of("code", n, **parameters)


def test_pairs_of_a_folder_without_python(tmp_path):
    with pytest.raises(UserError, match="0 functions give 0 of 1"):
        pairs_of("code", 1, source=tmp_path)


@cases(
    ("x = 1", 0),
    ("def f(): pass", 1),
    ("class A:\n    def f(self):\n        return lambda x: x", 2),
    ("if a:\n    x\nelif b:\n    y\nelse:\n    z", 1),
    ("if a:\n    x\nelse:\n    if b:\n        y", 1),
    ("for a in b:\n  while c:\n    try:\n      x\n    except E:\n      with d:\n        y", 4),
    ("match a:\n    case 1:\n        if b:\n            x", 2),
)
def test_depth_of_blocks_by_hand(text, depth):
    assert block_depth(ast.parse(text)) == depth


def test_definitions_are_whole():
    text = (
        "import a\n\n@a.b(\n    1)\nasync def f():\n    return 1\n\nclass A:\n    def g(self):\n        pass\nx = 2\n"
    )
    found = [*definitions(text, ast.parse(text))]
    assert [(each.name, each.kind, each.line, each.depth) for each in found] == [
        ("f", "function", 3, 1),
        ("A", "class", 8, 2),
    ]
    assert found[0].text == "@a.b(\n    1)\nasync def f():\n    return 1"
