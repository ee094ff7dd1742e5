"""k-Shuffle Dyck: brackets of k kinds, each kind balanced by itself whatever stands between."""

from dataclasses import dataclass

from tokenformer.config.keys import key
from tokenformer.corpora.formal.brackets import bracket_pairs, most_open, shuffle_completions
from tokenformer.corpora.formal.language import Edit, FormalLanguage, Stratum, as_symbols, located
from tokenformer.errors import UserError


@dataclass(frozen=True)
class ShuffleDyck(FormalLanguage):
    """Strings such as `( [ ) ]`: the interleavings of k strings of Dyck-1, recognised by k counters.

    Strings of one difficulty and length are equally likely.
    """

    kinds: int = key(3, "k, the kinds of brackets", least=1, most=8)
    depth: int = key(6, "the most brackets of all kinds that are open at once", least=1, most=12)
    longest: int = key(48, "symbols of the longest string", least=2, most=200)

    name = "shuffle_dyck"
    knob = "depth: the largest number of brackets, of all kinds together, that are open at once"
    source = "Suzgun et al. 2019 (arXiv:1911.03329); Bhattamishra et al. 2020 (arXiv:2009.11264)"

    def __post_init__(self) -> None:
        super().__post_init__()
        if 2 * self.depth > self.longest:
            raise UserError(
                f"language 'shuffle_dyck': no string of {self.longest} symbols has {self.depth} open brackets; "
                f"set longest to {2 * self.depth} or more, or depth to {self.longest // 2} or less"
            )

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

    def ground_truth(self, text: str) -> dict:
        return {"difficulty": most_open(text.split(" "))}

    def alphabet(self) -> tuple[str, ...]:
        return tuple(symbol for pair in bracket_pairs(self.kinds) for symbol in pair)

    def edits(self, symbols: list[str]) -> dict[str, list[Edit]]:
        """`kind` keeps the number of brackets that are open, `order` the number of each symbol."""
        closing_of = dict(bracket_pairs(self.kinds))
        return {
            "kind": [
                ((i, other),)
                for i, own in enumerate(symbols)
                for group in (closing_of.keys(), closing_of.values())
                if own in group
                for other in group
                if other != own
            ],
            "order": [
                ((i, closing), (i + 1, opening))
                for i, (opening, closing) in enumerate(zip(symbols, symbols[1:], strict=False))
                if closing_of.get(opening) == closing
            ],
            "count": [((i, closing_of[own]),) for i, own in enumerate(symbols) if own in closing_of],
        }
