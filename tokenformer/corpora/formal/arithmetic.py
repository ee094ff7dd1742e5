"""Arithmetic: an expression and its value."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from tokenformer.config.keys import key
from tokenformer.corpora.formal.language import (
    Edit,
    FormalLanguage,
    Question,
    Stratum,
    as_symbols,
    as_text,
    edited,
    located,
)
from tokenformer.errors import UserError

OPERATORS = {"+": 1, "-": 1, "*": 2}
"""Operator -> how strongly it binds; those of equal strength are read from the left."""
DIGITS = tuple("0123456789")
CHOICES = 4

Tree = tuple[str, "Tree", "Tree"] | str
"""Operator, left and right; or a digit."""


@dataclass(frozen=True)
class Arithmetic(FormalLanguage):
    """Strings such as `( 3 + 4 ) * 2 = 14`: sums, differences and products of digits, without needless brackets.

    Expressions of one number of operators are equally likely. What is accepted may have needless brackets, whose value
    is as true.
    """

    operators: int = key(4, "the most operators in an expression", least=1, most=60)
    modulus: int = key(0, "the value is modulo this number; 0 leaves it as it is", least=0)

    name = "arithmetic"
    knob = "the number of operators"
    source = "Delétang et al. 2023 (modular arithmetic, arXiv:2207.02098); Hupkes et al. 2018 (arXiv:1711.10203)"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.modulus == 1:
            raise UserError("language 'arithmetic': every value is 0 modulo 1; set modulus to 0 (none), 2 or more")

    def strata(self) -> list[Stratum]:
        return [Stratum(n, n, _trees(n)) for n in range(1, self.operators + 1)]

    def symbols(self, stratum: Stratum, number: int) -> list[str]:
        tree = _tree(stratum.difficulty, number)
        return [*_written(tree), "=", self._shown(_value(tree))]

    def _shown(self, value: int) -> str:
        return str(value % self.modulus if self.modulus else value)

    def accepts(self, text: str) -> bool:
        expression, equals, result = text.rpartition(" = ")
        symbols = as_symbols(expression)
        value = evaluated(symbols) if symbols and equals else None
        return value is not None and self._shown(value) == result

    def ground_truth(self, text: str) -> dict:
        expression, _, result = text.rpartition(" = ")
        return {"difficulty": sum(symbol in OPERATORS for symbol in expression.split(" ")), "value": int(result)}

    def alphabet(self) -> tuple[str, ...]:
        """All symbols but the values, which are words of digits."""
        return (*DIGITS, *OPERATORS, "(", ")", "=")

    def edits(self, symbols: list[str]) -> dict[str, list[Edit]]:
        """Another value of as many characters, another digit, another operator: the sum no longer holds."""
        return {
            "value": [
                ((len(symbols) - 1, other),) for other in self._wrong_values(symbols) if len(other) == len(symbols[-1])
            ],
            "digit": _other_symbols(symbols[:-2], DIGITS),
            "operator": _other_symbols(symbols[:-2], OPERATORS),
        }

    def _wrong_values(self, symbols: list[str]) -> list[str]:
        """Values that slips give (one operator read as another), then those nearest to the right one."""
        right, expression = symbols[-1], symbols[:-2]
        slips = [evaluated(edited(expression, edit)) for edit in _other_symbols(expression, OPERATORS)]
        near = [int(right) + sign * step for step in range(1, 11) for sign in (1, -1)]
        values = dict.fromkeys(self._shown(value) for value in (*slips, *near) if value is not None)
        return [value for value in values if value != right]

    def choices(self, text: str) -> Question:
        symbols = text.split(" ")
        return Question(as_text(symbols[:-1]), [symbols[-1], *self._wrong_values(symbols)[: CHOICES - 1]])


def _other_symbols(symbols: list[str], kind: Iterable[str]) -> list[Edit]:
    """Every replacement of a symbol of a kind by another of it."""
    return [((i, other),) for i, own in enumerate(symbols) if own in kind for other in kind if other != own]


def shapes(operators: int) -> int:
    """Binary trees with that many inner nodes: the Catalan numbers."""
    return math.comb(2 * operators, operators) // (operators + 1)


def _trees(operators: int) -> int:
    """Expressions with that many operators."""
    return shapes(operators) * len(OPERATORS) ** operators * len(DIGITS) ** (operators + 1)


def _tree(operators: int, number: int) -> Tree:
    """The expression with that number among those of so many operators."""
    if operators == 0:
        return DIGITS[number]
    number, operator = divmod(number, len(OPERATORS))
    options = ((left, _trees(left) * _trees(operators - 1 - left)) for left in range(operators))
    left, number = located(options, number)
    first, second = divmod(number, _trees(operators - 1 - left))
    return ([*OPERATORS][operator], _tree(left, first), _tree(operators - 1 - left, second))


def _written(tree: Tree) -> list[str]:
    """Symbols of an expression, bracketed where it would be read otherwise without; other trees, other symbols."""
    if isinstance(tree, str):
        return [tree]
    operator, left, right = tree
    strength = OPERATORS[operator]
    return [*_inside(left, strength), operator, *_inside(right, strength + 1)]


def _inside(tree: Tree, least_strength: int) -> list[str]:
    loose = not isinstance(tree, str) and OPERATORS[tree[0]] < least_strength
    return ["(", *_written(tree), ")"] if loose else _written(tree)


def _value(tree: Tree) -> int:
    if isinstance(tree, str):
        return int(tree)
    return _applied(tree[0], _value(tree[1]), _value(tree[2]))


def _applied(operator: str, left: int, right: int) -> int:
    return left + right if operator == "+" else left - right if operator == "-" else left * right


def evaluated(symbols: list[str]) -> int | None:
    """The value of an expression, by Dijkstra's shunting yard; None where it is none."""
    values: list[int] = []
    waiting: list[str] = []
    after_value = False
    for symbol in symbols:
        if after_value != (symbol in OPERATORS or symbol == ")"):
            return None
        if symbol in DIGITS:
            values.append(int(symbol))
        elif symbol == "(":
            waiting.append(symbol)
        elif symbol in OPERATORS:
            while waiting and waiting[-1] != "(" and OPERATORS[waiting[-1]] >= OPERATORS[symbol]:
                _reduce(values, waiting)
            waiting.append(symbol)
        elif symbol == ")":
            while waiting and waiting[-1] != "(":
                _reduce(values, waiting)
            if not waiting:
                return None
            waiting.pop()
        else:
            return None
        after_value = symbol in DIGITS or symbol == ")"
    if not after_value:
        return None
    while waiting and waiting[-1] != "(":
        _reduce(values, waiting)
    return None if waiting else values[0]


def _reduce(values: list[int], waiting: list[str]) -> None:
    right, left = values.pop(), values.pop()
    values.append(_applied(waiting.pop(), left, right))
