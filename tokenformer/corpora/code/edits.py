"""Small changes to a Python text that may make it invalid, by kind."""

import ast
import io
import keyword
import tokenize
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from tokenformer.corpora.code.syntax import local_names, parsed

CLOSING = ")]}"
BRACKETS = "([{" + CLOSING
BINARY = {"+", "-", "*", "/", "//", "%", "@", "&", "|", "^", "<<", ">>", "**", "==", "!=", "<", ">", "<=", ">=", "="}
OPERANDS = (tokenize.NAME, tokenize.NUMBER, tokenize.STRING)
LEVEL = 4
"""Spaces."""


@dataclass(frozen=True)
class Program:
    """A text that is to be changed, and what is known around it."""

    text: str
    foreign_names: tuple[str, ...]
    """Names that other functions of the file use for their own variables and that mean nothing here."""

    def tokens(self) -> list[tokenize.TokenInfo]:
        """Tokens of the text, which must be valid."""
        return [*tokenize.generate_tokens(io.StringIO(self.text).readline)]

    def replaced(self, start: tuple[int, int], end: tuple[int, int], new: str) -> str:
        """The text with what stands between two places (line from 1, column from 0) replaced."""
        lines = self.text.split("\n")
        first, last = self._offset(lines, start), self._offset(lines, end)
        return self.text[:first] + new + self.text[last:]

    @staticmethod
    def _offset(lines: list[str], place: tuple[int, int]) -> int:
        return sum(len(line) + 1 for line in lines[: place[0] - 1]) + place[1]


Change = Callable[[], str]
"""Makes the changed text when it is wanted."""


def bracket_kind(program: Program) -> Iterable[Change]:
    """A closing bracket of another shape."""
    for token in program.tokens():
        if token.type == tokenize.OP and token.string in CLOSING:
            for other in CLOSING.replace(token.string, ""):
                yield lambda token=token, other=other: program.replaced(token.start, token.end, other)


def bracket_missing(program: Program) -> Iterable[Change]:
    """A bracket left out."""
    for token in program.tokens():
        if token.type == tokenize.OP and token.string in BRACKETS:
            yield lambda token=token: program.replaced(token.start, token.end, "")


def operator_order(program: Program) -> Iterable[Change]:
    """A binary operator and what follows it exchanged: `a b +` for `a + b`."""
    tokens = program.tokens()
    for operator, operand in zip(tokens, tokens[1:], strict=False):
        if operator.string in BINARY and (operand.type in OPERANDS or operand.string in BRACKETS):
            if operator.end[0] != operand.start[0]:
                continue
            between = operand.line[operator.end[1] : operand.start[1]]
            new = operand.string + between + operator.string
            yield lambda operator=operator, operand=operand, new=new: program.replaced(operator.start, operand.end, new)


def keyword_choice(program: Program) -> Iterable[Change]:
    """A keyword in the place of another."""
    for token in program.tokens():
        if token.type == tokenize.NAME and keyword.iskeyword(token.string):
            for other in keyword.kwlist:
                if other != token.string:
                    yield lambda token=token, other=other: program.replaced(token.start, token.end, other)


def indentation(program: Program) -> Iterable[Change]:
    """A line of code one level further in or out."""
    for before, token in zip(program.tokens(), program.tokens()[1:], strict=False):
        begins = before.type in (tokenize.INDENT, tokenize.DEDENT, tokenize.NEWLINE, tokenize.NL)
        if begins and token.start[1] and not token.line[: token.start[1]].strip():
            row, column = token.start
            if token.type in (tokenize.COMMENT, tokenize.NL, tokenize.INDENT, tokenize.DEDENT):
                continue
            yield lambda row=row: program.replaced((row, 0), (row, 0), " " * LEVEL)
            if column >= LEVEL and program.text.split("\n")[row - 1].startswith(" " * LEVEL):
                yield lambda row=row: program.replaced((row, 0), (row, LEVEL), "")


def undefined_name(program: Program) -> Iterable[Change]:
    """A variable that is read under a name that only other functions bind."""
    own = local_names(program.text)
    tree = parsed(program.text)
    for node in ast.walk(tree) if tree else ():
        if not (isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node.id in own):
            continue
        if program.text.split("\n")[node.lineno - 1].isascii():
            start, end = (node.lineno, node.col_offset), (node.lineno, node.col_offset + len(node.id))
            for other in program.foreign_names:
                yield lambda start=start, end=end, other=other: program.replaced(start, end, other)


KINDS: dict[str, Callable[[Program], Iterable[Change]]] = {
    "bracket_kind": bracket_kind,
    "bracket_missing": bracket_missing,
    "operator_order": operator_order,
    "keyword": keyword_choice,
    "indentation": indentation,
    "undefined_name": undefined_name,
}
"""Kind -> function that gives all changes of that kind; some leave a text valid."""

KINDS_THAT_COMPILE = ("undefined_name",)
"""Wrong by their names; the others by their syntax."""
