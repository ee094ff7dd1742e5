"""a^n b^n c^n: as many of each letter, in order."""

from dataclasses import dataclass
from itertools import groupby

from tokenformer.config.keys import key
from tokenformer.corpora.formal.language import (
    Edit,
    FormalLanguage,
    Stratum,
    alphabet_of,
    as_symbols,
    located,
    mixed_digits,
)


@dataclass(frozen=True)
class EqualCounts(FormalLanguage):
    """a^n b^n c^n, or of more or fewer letters; context-sensitive from three letters on, counted by as many counters.

    The language has one string for each n, which is little to train on, so a document may be several strings in a row,
    each with an n of its own. Documents of one largest n are equally likely.
    """

    letters: int = key(3, "different letters", least=2, most=26)
    largest: int = key(40, "the largest n", least=1, most=1000)
    repeats: int = key(1, "strings in a document", least=1, most=100)

    name = "equal_counts"
    knob = "the largest n of the document"
    source = "Weiss et al. 2018 (arXiv:1805.04908); Gers & Schmidhuber 2001; Delétang et al. 2023 (arXiv:2207.02098)"

    def strata(self) -> list[Stratum]:
        return [Stratum(n, self.repeats, n**self.repeats - (n - 1) ** self.repeats) for n in range(1, self.largest + 1)]

    def symbols(self, stratum: Stratum, number: int) -> list[str]:
        return [letter for n in self._counts(stratum, number) for letter in self.alphabet() for _ in range(n)]

    def _counts(self, stratum: Stratum, number: int) -> list[int]:
        """The n of each string; the largest stands first at a place that the number decides."""
        largest, repeats = stratum.difficulty, self.repeats
        options = ((place, (largest - 1) ** place * largest ** (repeats - 1 - place)) for place in range(repeats))
        place, number = located(options, number)
        bases = [largest - 1] * place + [1] + [largest] * (repeats - 1 - place)
        digits = [*mixed_digits(number, bases)][::-1]
        return [largest if at == place else 1 + digit for at, digit in enumerate(digits)]

    def accepts(self, text: str) -> bool:
        runs = self._runs(as_symbols(text) or [])
        letters = self.alphabet()
        if not runs or len(runs) != self.repeats * self.letters:
            return False
        for start in range(0, len(runs), self.letters):
            string = runs[start : start + self.letters]
            if tuple(letter for letter, _ in string) != letters or len({count for _, count in string}) != 1:
                return False
        return True

    @staticmethod
    def _runs(symbols: list[str]) -> list[tuple[str, int]]:
        return [(letter, len([*run])) for letter, run in groupby(symbols)]

    def ground_truth(self, text: str) -> dict:
        counts = [count for letter, count in self._runs(text.split(" ")) if letter == self.alphabet()[0]]
        return {"difficulty": max(counts), "counts": counts}

    def alphabet(self) -> tuple[str, ...]:
        return alphabet_of(self.letters)

    def edits(self, symbols: list[str]) -> dict[str, list[Edit]]:
        """`count` moves the border of two runs by one; `order` exchanges two letters at a border."""
        borders = [i for i in range(len(symbols) - 1) if symbols[i] != symbols[i + 1]]
        return {
            "count": [((i + side, symbols[i + 1 - side]),) for i in borders for side in (0, 1)],
            "order": [((i, symbols[i + 1]), (i + 1, symbols[i])) for i in borders],
        }
