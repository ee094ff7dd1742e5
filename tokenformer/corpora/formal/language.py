"""The formal language: strings that can be counted, numbered and recognised."""

import string
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import ClassVar, TypeVar

from tokenformer.config.building import Checked

Option = TypeVar("Option")

Edit = tuple[tuple[int, str | None], ...]
"""Places of a string and the symbols that take them over; None leaves the symbol out."""


@dataclass(frozen=True)
class Stratum:
    """Strings of one difficulty and one size, numbered from 0."""

    difficulty: int
    size: int
    """Symbols of a string; operators in arithmetic, where the length follows from brackets."""
    strings: int
    """How many there are; above 0, and often far beyond 2**64."""


@dataclass(frozen=True)
class FormalLanguage(Checked, ABC):
    """A language whose parameters are the fields of its class.

    A string is written as its symbols with one space between them: a byte-level BPE then makes one token of each, both
    sentences of a minimal pair have the same number of tokens, and a budget in words counts symbols.

    The strings are made by counting (`strata`, `symbols`) and judged by other code (`accepts`, `ground_truth`).
    """

    name: ClassVar[str]
    knob: ClassVar[str]
    """The meaning of a string's difficulty; a larger number is harder."""
    source: ClassVar[str]
    """The papers that defined the language or used it."""

    @abstractmethod
    def strata(self) -> list[Stratum]:
        """All strings that may be drawn, from easy to hard; each string is in one stratum."""

    @abstractmethod
    def symbols(self, stratum: Stratum, number: int) -> list[str]:
        """The string with that number, from 0 to `stratum.strings` - 1; other numbers give other strings."""

    @abstractmethod
    def accepts(self, text: str) -> bool:
        """Tells whether the text is a string of the language, of any length; never raises."""

    @abstractmethod
    def ground_truth(self, text: str) -> dict:
        """The ground truth of a string that is accepted, ready for JSON; `difficulty` is always there."""

    @abstractmethod
    def alphabet(self) -> tuple[str, ...]:
        """The symbols."""

    def rules(self) -> dict:
        """The drawn automaton or grammar, which defines the language beyond its parameters, ready for JSON."""
        return {}

    def edits(self, symbols: list[str]) -> dict[str, list[Edit]]:
        """Small changes by kind, some of which lead out of the language; the kinds before the last keep the length."""
        return {
            "substitution": [
                ((i, other),) for i, own in enumerate(symbols) for other in self.alphabet() if other != own
            ],
            "exchange": [
                ((i, symbols[i + 1]), (i + 1, symbols[i]))
                for i in range(len(symbols) - 1)
                if symbols[i] != symbols[i + 1]
            ],
            "omission": [((i, None),) for i in range(len(symbols))],
        }

    def choices(self, text: str) -> "Question | None":
        """The string as a question with one right answer, where the language has such."""
        return None

    def description(self) -> dict:
        """Everything that a reader needs to know the language, ready for JSON."""
        return {
            "language": self.name,
            "parameters": asdict(self),
            "difficulty": self.knob,
            "source": self.source,
            "alphabet": list(self.alphabet()),
            **self.rules(),
        }


@dataclass(frozen=True)
class Question:
    """An accuracy item."""

    text: str
    """The text that stands before the answer."""
    choices: list[str]
    """The right one first."""


def alphabet_of(letters: int) -> tuple[str, ...]:
    """The first letters from a on."""
    return tuple(string.ascii_lowercase[:letters])


def as_text(symbols: list[str]) -> str:
    """Symbols as they are written."""
    return " ".join(symbols)


def as_symbols(text: str) -> list[str] | None:
    """Symbols of a text; None unless it is symbols with single spaces between them."""
    symbols = text.split(" ")
    return symbols if text and all(symbols) else None


def edited(symbols: list[str], edit: Edit) -> list[str]:
    """The symbols after an edit."""
    changed: list[str | None] = [*symbols]
    for place, symbol in edit:
        changed[place] = symbol
    return [symbol for symbol in changed if symbol is not None]


def located(options: Iterable[tuple[Option, int]], number: int) -> tuple[Option, int]:
    """Which option a number means where each stands for so many numbers in a row, and the number within it.

    Raises IndexError for a number beyond the last option.
    """
    for option, ways in options:
        if number < ways:
            return option, number
        number -= ways
    raise IndexError(number)


def mixed_digits(number: int, bases: list[int]) -> Iterator[int]:
    """The digits of a number in mixed bases, the last base's first: a numbering of tuples."""
    for base in reversed(bases):
        number, digit = divmod(number, base)
        yield digit
