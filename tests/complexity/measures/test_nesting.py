import math

import pytest

from tests.support.cases import cases
from tokenformer.complexity import score
from tokenformer.complexity.measures.nesting import IDENTIFIER_ENTROPY, NESTING_DEPTH, spoken_code


@cases(
    ("", 0),
    ("ab", 0),
    ("()", 1),
    ("(())", 1.5),
    ("()()", 1),
    ("a(b)", 0.75),
    ("<[{()}]>", 2.5),
    (")(", 1),
    ("((", 1.5),
)
def test_depth_of_formal_strings_by_hand(text, depth):
    assert NESTING_DEPTH([text], "formal")[0] == depth


@cases(
    ("x = 1", 0),
    ("if x:\n    y", 1 / 5),
    ("f(x)", 3 / 4),
    ("f(\n    x\n)", 3 / 4),
    ("{\n  a;\n}", 1),
    ("x = ')))((('  # ((((", 0),
    ("a < b", 0),
)
def test_depth_of_code_by_hand(text, depth):
    """Characters are counted; what is indented inside an open bracket is not counted twice."""
    assert NESTING_DEPTH([text], "code")[0] == pytest.approx(depth)


def test_python_and_c_of_one_structure_are_as_deep():
    python = "def f():\n    while a:\n        if b:\n            c = 1\n"
    braces = "int f() {\n  while (a) {\n    if (b) {\n      c = 1;\n    }\n  }\n}\n"
    flat = "a = 1\nb = 2\nc = 3\n"
    shallow, first, second = (NESTING_DEPTH([text], "code")[0] for text in (flat, python, braces))
    assert shallow == 0 and first > 1 and second > 1


@cases(
    ("a = 'b' # c", "a =  "),
    ('"""doc\nstring"""\nx // y', "\n\nx // y"),
    ("a; // b\nc; /* d\ne */", "a; \nc; \n"),
    ("#include <b>\na;", "\na;"),
    ("'it\\'s' b", " b"),
)
def test_strings_and_comments_are_left_out(text, left):
    assert spoken_code(text) == left


def test_entropy_of_names_by_hand():
    """Of a, b, b, c: two bits for a quarter, one for a half."""
    assert IDENTIFIER_ENTROPY(["if a: b = b + c"], "code")[0] == pytest.approx(1.5)
    names = " ".join(f"name{index}" for index in range(64))
    assert IDENTIFIER_ENTROPY([names, "x", "", "1 + 1", "for in while"], "code").tolist() == pytest.approx(
        [math.log2(64), 0, 0, 0, 0]
    )


def test_depth_is_the_default_measure_of_code_and_formal_languages():
    assert score(["(())"], "formal")[0] == 1.5
    assert score(["f(x)"], "code")[0] == 0.75
