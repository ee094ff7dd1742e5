"""Minimal pairs of Python: a function that is valid, and one with a small change that is not."""

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tokenformer.corpora.code.edits import KINDS, KINDS_THAT_COMPILE, Program
from tokenformer.corpora.code.source_tree import SourceText, TreeReport, list_sources, read_source, standard_library
from tokenformer.corpora.code.syntax import (
    ALWAYS_BOUND,
    bound_names,
    compiles,
    definitions,
    is_valid,
    local_names,
    parsed,
)
from tokenformer.corpora.formal.sampling import shared_out
from tokenformer.corpora.pair import MinimalPair
from tokenformer.errors import UserError
from tokenformer.randomness import Permutation

MOST_CHARACTERS = 800
LEAST_LINES = 3
MOST_TRIED = 30
"""Changes of one kind to one function."""


@dataclass(frozen=True)
class Candidate:
    """A function that pairs can be made of."""

    program: Program
    known: set[str]
    """Names that the rest of its file binds."""
    depth: int


def code_pairs(n: int, seed: int = 0, source: str | Path | None = None) -> list[MinimalPair]:
    """`n` pairs from a source tree (None: the interpreter's own library), evenly spread over the kinds of change.

    Raises UserError where the tree has too few functions.
    """
    root, report = standard_library() if source is None else Path(source), TreeReport()
    paths = list_sources(root, (".py",), report)
    order = Permutation(max(1, len(paths)), "files", seed)
    candidates: list[Candidate] = []
    for place in range(len(paths)):
        file = read_source(root, paths[order[place]], report)
        candidates += candidates_of(file) if file else []
        if len(candidates) >= 2 * n:
            break
    return pairs_from(candidates, n, seed)


def candidates_of(file: SourceText) -> Iterator[Candidate]:
    """The functions of a file, neither short nor long, whose names are all accounted for."""
    tree = parsed(file.text)
    if tree is None or not compiles(file.text) or _imports_all(tree):
        return
    functions = [each for each in definitions(file.text, tree) if each.kind == "function"]
    known = bound_names(file.text)
    bound = {each.name: local_names(each.text) for each in functions if compiles(each.text)}
    for function in functions:
        is_sized = function.text.count("\n") + 1 >= LEAST_LINES and len(function.text) <= MOST_CHARACTERS
        own = parsed(function.text) if is_sized and is_valid(function.text, known) else None
        if own is not None:
            foreign = {name for other, names in bound.items() if other != function.name for name in names}
            used = {node.id for node in ast.walk(own) if isinstance(node, ast.Name)}
            means_nothing = foreign - known - ALWAYS_BOUND - used - local_names(function.text)
            yield Candidate(Program(function.text, tuple(sorted(means_nothing))), known, function.depth)


def _imports_all(tree: ast.Module) -> bool:
    """Tells whether names come in that the text does not show."""
    return any(isinstance(node, ast.ImportFrom) and node.names[0].name == "*" for node in ast.walk(tree))


def pairs_from(candidates: Iterable[Candidate], n: int, seed: int) -> list[MinimalPair]:
    """`n` pairs, evenly spread over the kinds; a function gives one pair of a kind at most.

    Raises UserError where there are too few.
    """
    functions = [*candidates]
    order = Permutation(max(1, len(functions)), "functions", seed)
    kinds = [*KINDS]
    left = dict(zip(kinds, shared_out(n, [n] * len(kinds)), strict=True))
    pairs = []
    for turn in range(len(kinds)):
        for place in range(len(functions)):
            kind = kinds[(place + turn) % len(kinds)]
            pair = pair_of(functions[order[place]], kind, (seed, order[place])) if left[kind] else None
            if pair is not None:
                left[kind] -= 1
                pairs.append(pair)
    if len(pairs) < n:
        missing = ", ".join(f"{kind} {amount}" for kind, amount in left.items() if amount)
        raise UserError(
            f"{len(functions)} functions give {len(pairs)} of {n} minimal pairs (missing: {missing}): ask for fewer, "
            "hold out a larger share, or give a larger source tree"
        )
    return pairs


def _is_wrong(text: str, kind: str, known: set[str]) -> bool:
    """Tells whether a changed text is invalid in the way that its kind is meant to be."""
    if kind in KINDS_THAT_COMPILE:
        return compiles(text) and not is_valid(text, known)
    return not compiles(text)


def pair_of(candidate: Candidate, kind: str, key: object) -> MinimalPair | None:
    """A pair with one change of that kind, chosen by `key`; None where none of those tried makes the text invalid."""
    changes = [*KINDS[kind](candidate.program)]
    order = Permutation(max(1, len(changes)), "changes", kind, key)
    for place in range(min(len(changes), MOST_TRIED)):
        bad = changes[order[place]]()
        if _is_wrong(bad, kind, candidate.known):
            return MinimalPair(candidate.program.text, bad, candidate.depth, kind)
    return None
