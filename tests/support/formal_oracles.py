"""Slow and obvious recognisers, which share nothing with the package, and small languages to try them on."""

import ast
import re
from itertools import product

from tokenformer.corpora.formal import FormalLanguage, formal_language
from tokenformer.corpora.formal.arithmetic import Arithmetic
from tokenformer.corpora.formal.brackets import Dyck, ShuffleDyck
from tokenformer.corpora.formal.context_free import ContextFree
from tokenformer.corpora.formal.equal_counts import EqualCounts
from tokenformer.corpora.formal.regular import Regular

CLOSING = {"(": ")", "[": "]", "{": "}", "<": ">"}


def deepest(text: str) -> int:
    return max(sum((c in "([{<") - (c in ")]}>") for c in text[: i + 1]) for i in range(len(text)))


def is_dyck(language: Dyck, text: str) -> bool:
    """Innermost pairs are struck out until nothing is left."""
    left = text.replace(" ", "")
    while any(pair in left for pair in ("()", "[]", "{}", "<>")):
        left = re.sub(r"\(\)|\[\]|\{\}|<>", "", left)
    return bool(text) and not left and deepest(text) <= language.depth


def is_shuffle_dyck(language: ShuffleDyck, text: str) -> bool:
    """Each kind alone, with what is between left out, is balanced."""
    kinds = ["".join(c for c in text if c in pair) for pair in CLOSING.items()]
    return bool(text) and deepest(text) <= language.depth and all(not k or is_dyck(Dyck(depth=20), k) for k in kinds)


def is_equal_counts(language: EqualCounts, text: str) -> bool:
    letters = "abcdefgh"[: language.letters]
    ns = range(1, len(text) + 1)
    strings = {"".join(letter * n for letter in letters) for n in ns}
    found = {""}
    for _ in range(language.repeats):
        found = {a + b for a in found for b in strings if len(a + b) <= len(text)}
    return text.replace(" ", "") in found


def is_arithmetic(language: Arithmetic, text: str) -> bool:
    """Python's own parser and evaluation, on what is made of digits and binary operators alone."""
    expression, equals, value = text.rpartition(" = ")
    try:
        tree = ast.parse(expression, mode="eval")
    except SyntaxError:
        return False
    kinds = (ast.Expression, ast.BinOp, ast.Constant, ast.Add, ast.Sub, ast.Mult)
    if not equals or not all(isinstance(node, kinds) for node in ast.walk(tree)) or not re.search(r"\d", expression):
        return False
    if any(len(part) > 1 for part in expression.split(" ")) or re.search(r"\d \d|[()] [(]\)|\) \(|,", expression):
        return False
    result = eval(compile(tree, "<text>", "eval"))
    return value == str(result % language.modulus if language.modulus else result)


def is_regular(language: Regular, text: str) -> bool:
    """The automaton as a set of equations, read from the end: which states accept what is left."""
    rules = language.rules()
    accepting = set(rules["accepting"])
    for letter in reversed(text.split(" ")):
        accepting = {state for state, row in enumerate(rules["transitions"]) if row.get(letter) in accepting}
    return bool(text) and 0 in accepting


def is_context_free(language: ContextFree, text: str) -> bool:
    """Every sentential form that can still become the text, leftmost nonterminal first."""
    rules = language.rules()["rules"]
    target, forms = text.split(" "), {("S",)}
    while forms:
        new = set()
        for form in forms:
            place = next((i for i, symbol in enumerate(form) if symbol in rules), None)
            if place is None:
                if list(form) == target:
                    return True
                continue
            for side in rules[form[place]]:
                grown = (*form[:place], *side.split(" "), *form[place + 1 :])
                fixed = next((i for i, symbol in enumerate(grown) if symbol in rules), len(grown))
                if len(grown) <= len(target) and list(grown[:fixed]) == target[:fixed]:
                    new.add(grown)
        forms = new
    return False


ORACLES = {
    "dyck": is_dyck,
    "shuffle_dyck": is_shuffle_dyck,
    "equal_counts": is_equal_counts,
    "arithmetic": is_arithmetic,
    "regular": is_regular,
    "context_free": is_context_free,
}

SMALL: list[tuple[FormalLanguage, int]] = [
    (formal_language("dyck", {"kinds": 1, "depth": 2, "longest": 10}), 10),
    (formal_language("dyck", {"kinds": 2, "depth": 3, "longest": 6}), 6),
    (formal_language("shuffle_dyck", {"kinds": 2, "depth": 3, "longest": 6}), 6),
    (formal_language("shuffle_dyck", {"kinds": 2, "depth": 1, "longest": 6}), 6),
    (formal_language("equal_counts", {"largest": 3}), 8),
    (formal_language("equal_counts", {"letters": 2, "largest": 4, "repeats": 2}), 9),
    *((formal_language("regular", {"states": 3, "letters": 2, "longest": 9, "machine": m}), 9) for m in range(4)),
    (formal_language("regular", {"states": 8, "letters": 3, "longest": 6}), 6),
    *(
        (formal_language("context_free", {"nonterminals": 2, "letters": 3, "longest": 7, "machine": m}), 7)
        for m in range(4)
    ),
    (formal_language("context_free", {"nonterminals": 5, "letters": 4, "longest": 6}), 6),
]
"""Languages with the length up to which all of their strings, and all other ones, can be listed."""


def all_texts(language: FormalLanguage, longest: int):
    for length in range(1, longest + 1):
        for symbols in product(language.alphabet(), repeat=length):
            yield " ".join(symbols)
