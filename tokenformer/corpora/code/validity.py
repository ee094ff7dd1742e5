"""Validity of a Python text: it compiles, and every name that it uses is bound somewhere."""

import builtins
import symtable
import warnings
from collections.abc import Iterator

ALWAYS_BOUND = {*dir(builtins), "__file__", "__path__", "__annotations__", "__class__", "__module__", "__qualname__"}


def compiles(text: str) -> bool:
    """Tells whether this Python makes byte code of the text; nothing is run."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
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
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        waiting = [symtable.symtable(text, "<text>", "exec")]
    while waiting:
        table = waiting.pop()
        yield table
        waiting += table.get_children()
