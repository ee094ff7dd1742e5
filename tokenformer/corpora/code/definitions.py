"""Pieces of a Python file: its functions and classes, and how deep their statements are nested."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass

DEFINITIONS = {ast.FunctionDef: "function", ast.AsyncFunctionDef: "function", ast.ClassDef: "class"}


@dataclass(frozen=True, slots=True)
class Definition:
    """A function or class that stands at the left margin."""

    text: str
    """Decorators included, without the line end after it."""
    kind: str
    name: str
    line: int
    """Where it begins, from 1."""
    depth: int


def definitions(text: str, tree: ast.Module) -> Iterator[Definition]:
    """The definitions of a file, in its order; `tree` is the file's."""
    lines = text.split("\n")
    for node in tree.body:
        if type(node) in DEFINITIONS:
            first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
            body = "\n".join(lines[first - 1 : node.end_lineno])
            yield Definition(body, DEFINITIONS[type(node)], node.name, first, block_depth(node))


def block_depth(node: ast.AST) -> int:
    """How many blocks stand in one another at the deepest place: 0 without any, 1 for a function of plain statements.

    An `elif` counts as the `if` that it continues is written: in Python's tree it stands inside the `else`.
    """
    deepest, waiting = 0, [(node, 0)]
    while waiting:
        current, depth = waiting.pop()
        inner = depth + (isinstance(current, ast.stmt) and hasattr(current, "body") or isinstance(current, ast.Match))
        deepest = max(deepest, inner)
        for child in ast.iter_child_nodes(current):
            continues = isinstance(current, ast.If) and [child] == current.orelse and isinstance(child, ast.If)
            waiting.append((child, depth if continues else inner))
    return deepest
