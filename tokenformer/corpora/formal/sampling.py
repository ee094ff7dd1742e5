"""Which strings of a language are drawn, in which order and for what: without repeats, and without remembering any."""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate

from tokenformer.corpora.formal.language import FormalLanguage, Stratum, as_text
from tokenformer.errors import UserError
from tokenformer.randomness import Permutation


@dataclass(frozen=True, slots=True)
class Draw:
    """One string."""

    text: str
    stratum: Stratum
    purpose: str
    """A key of `Sample.purposes`."""


@dataclass(frozen=True)
class Sample:
    """Different strings of a language, shared out to several purposes, none of them in two.

    The strings are spread evenly over the difficulties, those of one difficulty evenly over the sizes, and within a
    size every string is as likely; a difficulty or size that has fewer strings than its share gives all of them, and
    the others give more. Every purpose gets the same mixture. The order is random. All of it is decided by the
    language's parameters, the numbers and `seed`, on any platform. Memory does not grow with the numbers.

    Raises UserError where the language has too few strings.
    """

    language: FormalLanguage
    purposes: dict[str, int]
    """Purpose -> how many strings; those later in the dictionary get their strings first where the shares are odd."""
    seed: int

    def __post_init__(self) -> None:
        if isinstance(self.seed, bool) or not isinstance(self.seed, int):
            raise UserError(f"the seed is {self.seed!r}; set it to a whole number")
        for purpose, amount in self.purposes.items():
            if isinstance(amount, bool) or not isinstance(amount, int) or amount < 0:
                raise UserError(f"{purpose} is {amount!r}; set it to a whole number of 0 or more")
        available = sum(stratum.strings for stratum in self.strata)
        if self.size > available:
            parameters = ", ".join(self.language.description()["parameters"])
            raise UserError(
                f"language '{self.language.name}' has {available:,} different strings with these parameters, and "
                f"{self.size:,} are asked for: ask for fewer, or set larger parameters ({parameters})"
            )

    @cached_property
    def strata(self) -> list[Stratum]:
        return self.language.strata()

    @property
    def size(self) -> int:
        """Strings in all."""
        return sum(self.purposes.values())

    def __iter__(self) -> Iterator[Draw]:
        bounds = [0, *accumulate(self.drawn)]
        order = [Permutation(stratum.strings, "strings", self.seed, stratum) for stratum in self.strata]
        for place in _shuffled(self.size, "order", self.seed):
            number = bisect_right(bounds, place) - 1
            stratum = self.strata[number]
            symbols = self.language.symbols(stratum, order[number][place - bounds[number]])
            yield Draw(as_text(symbols), stratum, self._purpose(place))

    @cached_property
    def drawn(self) -> list[int]:
        """How many strings of each stratum."""
        levels = sorted({stratum.difficulty for stratum in self.strata})
        members = [[s.strings for s in self.strata if s.difficulty == level] for level in levels]
        shares = shared_out(self.size, [sum(strings) for strings in members])
        return [each for share, strings in zip(shares, members, strict=True) for each in shared_out(share, strings)]

    def _purpose(self, place: int) -> str:
        """Spreads each purpose evenly over the places, which are in the order of difficulty and size."""
        size = self.size
        for purpose, amount in reversed([*self.purposes.items()]):
            before, after = place * amount // size, (place + 1) * amount // size
            if after > before:
                return purpose
            place, size = place - before, size - amount
        raise AssertionError("the purposes do not add up to the size")


def _shuffled(size: int, *key: object) -> Iterator[int]:
    if size:
        order = Permutation(size, *key)
        yield from (order[place] for place in range(size))


def shared_out(amount: int, capacities: Sequence[int]) -> list[int]:
    """Equal whole shares of an amount, none above its capacity; where they are not even, the last ones get one more.

    The capacities add up to the amount at least.
    """
    shares = [0] * len(capacities)
    # From the smallest capacity on, each takes its part of what is left or all that it can hold.
    order = sorted(range(len(capacities)), key=lambda place: (capacities[place], place))
    for taken, place in enumerate(order):
        shares[place] = min(capacities[place], amount // (len(order) - taken))
        amount -= shares[place]
    return shares
