"""The options of the corpora that are made here; quick to import."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

from tokenformer.errors import UserError

CodeUnit = Literal["file", "definition"]
"""The kinds of document: a file, or a function or class at the left margin (of Python)."""


@dataclass(frozen=True)
class FormalCorpusOptions:
    """The options of the corpus to write."""

    language: str
    """Name of the language, such as dyck, arithmetic or context_free."""
    parameters: Mapping[str, int] = field(default_factory=dict)
    """A parameter of the language, such as depth=4."""
    documents: int = 10_000
    """Documents for training and validation together; all of them are different."""
    validation_share: float = 0.05
    """Share of the documents that is held out."""
    pairs: int = 0
    """Minimal pairs, and as many questions where the language has them; their right sentences are in no document."""
    seed: int = 0
    """Seed of everything that is drawn."""


def parsed_parameters(assignments: Iterable[str]) -> dict[str, int]:
    """Parameters of a language from `KEY=NUMBER`; raises UserError for anything else."""
    parameters = {}
    for assignment in assignments:
        key, _, value = assignment.partition("=")
        try:
            parameters[key] = int(value)
        except ValueError:
            raise UserError(f"'{assignment}' sets no parameter: write KEY=NUMBER, such as depth=4") from None
    return parameters


@dataclass(frozen=True)
class CodeCorpusOptions:
    """The options of the corpus to write."""

    source: Path | None = None
    """Root of a source tree. Without it: the interpreter's standard library."""
    unit: CodeUnit = "file"
    """One document is a whole file, or a function or class at the left margin (of Python)."""
    suffixes: Sequence[str] = (".py",)
    """Endings of the files to read."""
    validation_share: float = 0.05
    """Share of the files that is held out."""
    pairs: int = 0
    """Minimal pairs to write, made of functions of held-out files."""
    seed: int = 0
    """Seed of everything that is drawn."""

    def __post_init__(self) -> None:
        if self.unit not in get_args(CodeUnit):
            raise UserError(f"unit '{self.unit}' is not known: choose one of {', '.join(get_args(CodeUnit))}")
        if self.unit == "definition" and [*self.suffixes] != [".py"]:
            raise UserError("definitions are found in Python alone: leave the suffixes at .py, or set the unit to file")
        if not 0 < self.validation_share < 1:
            raise UserError(f"validation_share is {self.validation_share}: set it between 0 and 1")
        if self.pairs < 0:
            raise UserError(f"pairs is {self.pairs}: set it to 0 or more")
