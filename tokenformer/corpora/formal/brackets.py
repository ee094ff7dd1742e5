"""Brackets of k kinds: Dyck-k, where kinds nest, and k-Shuffle Dyck, where each kind is balanced by itself."""

from abc import abstractmethod
from dataclasses import dataclass
from functools import lru_cache

from tokenformer.config.keys import key
from tokenformer.corpora.formal.language import Edit, FormalLanguage, Stratum, as_symbols, located, mixed_digits
from tokenformer.errors import UserError

SHAPES = ("()", "[]", "{}", "<>")


def bracket_pairs(kinds: int) -> list[tuple[str, str]]:
    """Opening and closing symbol of each kind; from the fifth on with a number: `(1` and `)1`."""
    numbers = [str(kind // len(SHAPES)) if kind >= len(SHAPES) else "" for kind in range(kinds)]
    shapes = [SHAPES[kind % len(SHAPES)] for kind in range(kinds)]
    return [(shape[0] + number, shape[1] + number) for shape, number in zip(shapes, numbers, strict=True)]


def most_open(symbols: list[str]) -> int:
    """The largest number of brackets that are open at once."""
    most = level = 0
    for symbol in symbols:
        level += 1 if symbol[0] in "([{<" else -1
        most = max(most, level)
    return most


@lru_cache(maxsize=256)
def dyck_completions(deepest: int, longest: int) -> list[list[int]]:
    """`table[left][level]`: ways to go on from `level` open brackets of one kind with `left` symbols, back to none.

    At most `deepest` are open at any time.
    """
    table = [[1] + [0] * deepest]
    for _ in range(longest):
        before = table[-1]
        table.append(
            [
                (before[level + 1] if level < deepest else 0) + (before[level - 1] if level else 0)
                for level in range(deepest + 1)
            ]
        )
    return table


@lru_cache(maxsize=64)
def shuffle_completions(kinds: int, most: int, longest: int) -> list[dict[tuple[int, ...], int]]:
    """`table[left][open]`: ways to go on with `left` symbols of `kinds` kinds that are counted apart, back to none.

    `open` has the open brackets of each kind in sorted order, since the kinds are alike; they are at most `most` in
    all. Counts of 0 are left out.
    """
    table: list[dict[tuple[int, ...], int]] = [{(0,) * kinds: 1}]
    for _ in range(longest):
        ways: dict[tuple[int, ...], int] = {}
        for state in {_neighbour for known in table[-1] for _neighbour in neighbours(known, most)}:
            total = sum(table[-1].get(after, 0) for after in neighbours(state, most))
            if total:
                ways[state] = total
        table.append(ways)
    return table


def neighbours(state: tuple[int, ...], most: int) -> list[tuple[int, ...]]:
    """The sorted states after one more symbol: every kind opened, then every kind closed, as far as allowed."""
    room = sum(state) < most
    opened = [tuple(sorted((*state[:kind], state[kind] + 1, *state[kind + 1 :]))) for kind in range(len(state)) if room]
    closed = [
        tuple(sorted((*state[:kind], state[kind] - 1, *state[kind + 1 :]))) for kind in range(len(state)) if state[kind]
    ]
    return opened + closed


@dataclass(frozen=True)
class _Brackets(FormalLanguage):
    """The part that both languages share. Strings of one difficulty and length are equally likely."""

    kinds: int = key(3, "k, the kinds of brackets", least=1, most=50)
    depth: int = key(6, "m, the most brackets that are open at once", least=1, most=50)
    longest: int = key(48, "symbols of the longest string", least=2, most=400)

    def __post_init__(self) -> None:
        super().__post_init__()
        if 2 * self.depth > self.longest:
            raise UserError(
                f"language '{self.name}': no string of {self.longest} symbols has {self.depth} open brackets; "
                f"set longest to {2 * self.depth} or more, or depth to {self.longest // 2} or less"
            )

    def ground_truth(self, text: str) -> dict:
        return {"difficulty": most_open(text.split(" "))}

    def alphabet(self) -> tuple[str, ...]:
        return tuple(symbol for pair in bracket_pairs(self.kinds) for symbol in pair)

    def edits(self, symbols: list[str]) -> dict[str, list[Edit]]:
        """`kind` puts in another kind, `order` closes a bracket before it opens, `count` closes where one opens."""
        closing_of = dict(bracket_pairs(self.kinds))
        return {
            "kind": self._other_kinds(symbols, closing_of),
            "order": [
                ((i, closing), (i + 1, opening))
                for i, (opening, closing) in enumerate(zip(symbols, symbols[1:], strict=False))
                if closing_of.get(opening) == closing
            ],
            "count": [((i, closing_of[own]),) for i, own in enumerate(symbols) if own in closing_of],
        }

    @staticmethod
    @abstractmethod
    def _other_kinds(symbols: list[str], closing_of: dict[str, str]) -> list[Edit]:
        """The edits that put one bracket of another kind in."""


@dataclass(frozen=True)
class Dyck(_Brackets):
    """Dyck-(k, m): a closing bracket closes the last one that is open, which is of its kind; m nest at most."""

    name = "dyck"
    knob = "depth: the largest number of brackets that are open at once"
    source = "Hewitt et al. 2020 (bounded Dyck, arXiv:2010.07515); Chomsky & Schützenberger 1963"

    def strata(self) -> list[Stratum]:
        strata = []
        for depth in range(1, self.depth + 1):
            within, shallower = (dyck_completions(bound, self.longest) for bound in (depth, depth - 1))
            for size in range(2 * depth, self.longest + 1, 2):
                strata.append(Stratum(depth, size, (within[size][0] - shallower[size][0]) * self.kinds ** (size // 2)))
        return strata

    def symbols(self, stratum: Stratum, number: int) -> list[str]:
        number, kinds = divmod(number, self.kinds ** (stratum.size // 2))
        kinds_of_openings = mixed_digits(kinds, [self.kinds] * (stratum.size // 2))
        pairs = bracket_pairs(self.kinds)
        symbols, waiting = [], []
        for opens in self._openings(stratum, number):
            if opens:
                opening, closing = pairs[next(kinds_of_openings)]
                symbols.append(opening)
                waiting.append(closing)
            else:
                symbols.append(waiting.pop())
        return symbols

    def _openings(self, stratum: Stratum, number: int) -> list[bool]:
        """Tells of each symbol whether it opens: the path with that number among those that reach the depth exactly."""
        depth = stratum.difficulty
        within, shallower = (dyck_completions(bound, self.longest) for bound in (depth, depth - 1))
        level, reached, opens = 0, False, []
        for left in range(stratum.size - 1, -1, -1):
            ways = 0
            if level < depth:
                ways = within[left][level + 1]
                if not reached and level + 1 < depth:
                    ways -= shallower[left][level + 1]
            opens.append(number < ways)
            level += 1 if opens[-1] else -1
            reached = reached or level == depth
            number -= 0 if opens[-1] else ways
        return opens

    def accepts(self, text: str) -> bool:
        closing_of = dict(bracket_pairs(self.kinds))
        waiting: list[str] = []
        for symbol in as_symbols(text) or ["no string"]:
            if symbol in closing_of:
                waiting.append(closing_of[symbol])
                if len(waiting) > self.depth:
                    return False
            elif not waiting or waiting.pop() != symbol:
                return False
        return not waiting

    @staticmethod
    def _other_kinds(symbols: list[str], closing_of: dict[str, str]) -> list[Edit]:
        """Changes closing brackets alone: the levels stay as they are, and none makes the string deeper."""
        closings = set(closing_of.values())
        places = [(i, own) for i, own in enumerate(symbols) if own in closings]
        return [((i, other),) for i, own in places for other in closing_of.values() if other != own]


@dataclass(frozen=True)
class ShuffleDyck(_Brackets):
    """Strings such as `( [ ) ]`: the interleavings of k strings of Dyck-1, recognised by k counters."""

    kinds: int = key(3, "k, the kinds of brackets", least=1, most=8)
    depth: int = key(6, "the most brackets of all kinds that are open at once", least=1, most=12)
    longest: int = key(48, "symbols of the longest string", least=2, most=200)

    name = "shuffle_dyck"
    knob = "depth: the largest number of brackets, of all kinds together, that are open at once"
    source = "Suzgun et al. 2019 (arXiv:1911.03329); Bhattamishra et al. 2020 (arXiv:2009.11264)"

    def strata(self) -> list[Stratum]:
        strata, none = [], (0,) * self.kinds
        for depth in range(1, self.depth + 1):
            within, shallower = self._tables(depth)
            for size in range(2 * depth, self.longest + 1, 2):
                strata.append(Stratum(depth, size, within[size][none] - shallower[size].get(none, 0)))
        return strata

    def _tables(self, depth: int):
        return (shuffle_completions(self.kinds, bound, self.longest) for bound in (depth, depth - 1))

    def symbols(self, stratum: Stratum, number: int) -> list[str]:
        pairs = bracket_pairs(self.kinds)
        state, reached, symbols = (0,) * self.kinds, False, []
        for left in range(stratum.size - 1, -1, -1):
            steps = self._steps(state, stratum.difficulty, pairs)
            options = ((step, self._ways(step[1], left, stratum.difficulty, reached)) for step in steps)
            (symbol, state), number = located(options, number)
            symbols.append(symbol)
            reached = reached or sum(state) == stratum.difficulty
        return symbols

    def _ways(self, state: tuple[int, ...], left: int, depth: int, reached: bool) -> int:
        """Ways to go on with `left` symbols so that the depth is reached, now or before or later."""
        within, shallower = self._tables(depth)
        known = tuple(sorted(state))
        missed = 0 if reached or sum(state) == depth else shallower[left].get(known, 0)
        return within[left].get(known, 0) - missed

    @staticmethod
    def _steps(state: tuple[int, ...], most: int, pairs: list[tuple[str, str]]):
        """Every symbol that may come next, with the open brackets of each kind after it."""
        for kind, (opening, closing) in enumerate(pairs):
            if sum(state) < most:
                yield opening, (*state[:kind], state[kind] + 1, *state[kind + 1 :])
            if state[kind]:
                yield closing, (*state[:kind], state[kind] - 1, *state[kind + 1 :])

    def accepts(self, text: str) -> bool:
        pairs = bracket_pairs(self.kinds)
        step_of = {symbol: (kind, 1 - 2 * side) for kind, pair in enumerate(pairs) for side, symbol in enumerate(pair)}
        counters = [0] * self.kinds
        for symbol in as_symbols(text) or ["no string"]:
            if symbol not in step_of:
                return False
            kind, step = step_of[symbol]
            counters[kind] += step
            if counters[kind] < 0 or sum(counters) > self.depth:
                return False
        return not any(counters)

    @staticmethod
    def _other_kinds(symbols: list[str], closing_of: dict[str, str]) -> list[Edit]:
        """Changes opening and closing brackets: as many stay open."""
        return [
            ((i, other),)
            for i, own in enumerate(symbols)
            for group in (closing_of.keys(), closing_of.values())
            if own in group
            for other in group
            if other != own
        ]
