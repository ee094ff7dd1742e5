"""Facts about a Python text: its tree, functions and classes, how deep it nests, which names it binds and uses."""

import ast
import builtins
import symtable
import warnings
from collections.abc import Iterator
from dataclasses import dataclass

ALWAYS_BOUND = {*dir(builtins), "__file__", "__path__", "__annotations__", "__class__", "__module__", "__qualname__"}


def parsed(text: str) -> ast.Module | None:
    """The syntax tree of a Python text; None where it has none. Warnings about it are not shown."""
    with warnings.catch_warnings(action="ignore"):
        try:
            return ast.parse(text)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return None


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
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
            body = "\n".join(lines[first - 1 : node.end_lineno])
            kind = "class" if isinstance(node, ast.ClassDef) else "function"
            yield Definition(body, kind, node.name, first, block_depth(node))


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


def compiles(text: str) -> bool:
    """Tells whether this Python makes byte code of the text; nothing is run."""
    with warnings.catch_warnings(action="ignore"):
        try:
            compile(text, "<text>", "exec", dont_inherit=True)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return False
    return True


def is_valid(text: str, known: set[str]) -> bool:
    """Tells whether the text compiles and uses no name but its own, the built-in ones, and the `known` ones."""
    return compiles(text) and unbound_names(text) <= known | ALWAYS_BOUND


def unbound_names(text: str) -> set[str]:
    """Names that a text uses as global ones and does not bind itself; builtins are among them. It must compile."""
    tables = [*_tables(text)]
    bound = bound_names(text)
    return {
        symbol.get_name()
        for table in tables
        for symbol in table.get_symbols()
        if symbol.is_referenced() and (symbol.is_global() or table.get_type() == "module")
    } - bound


def bound_names(text: str) -> set[str]:
    """Names that a text binds for the whole module. It must compile."""
    return {
        symbol.get_name()
        for table in _tables(text)
        for symbol in table.get_symbols()
        if (symbol.is_assigned() or symbol.is_imported() or symbol.is_namespace())
        and (table.get_type() == "module" or symbol.is_declared_global())
    }


def local_names(text: str) -> set[str]:
    """Parameters and variables of the functions in a text. It must compile."""
    return {
        symbol.get_name()
        for table in _tables(text)
        if table.get_type() == "function"
        for symbol in table.get_symbols()
        if (symbol.is_local() or symbol.is_parameter()) and symbol.get_name().isidentifier()
    }


def _tables(text: str) -> Iterator[symtable.SymbolTable]:
    with warnings.catch_warnings(action="ignore"):
        waiting = [symtable.symtable(text, "<text>", "exec")]
    while waiting:
        table = waiting.pop()
        yield table
        waiting += table.get_children()
