"""Dyck-k: balanced brackets of k kinds, nested no deeper than a bound."""

from dataclasses import dataclass

from tokenformer.config.keys import key
from tokenformer.corpora.formal.brackets import bracket_pairs, dyck_completions, most_open
from tokenformer.corpora.formal.language import Edit, FormalLanguage, Stratum, as_symbols, mixed_digits
from tokenformer.errors import UserError


@dataclass(frozen=True)
class Dyck(FormalLanguage):
    """Dyck-(k, m): a closing bracket closes the last one that is open, which is of its kind; m nest at most.

    Strings of one difficulty and length are equally likely.
    """

    kinds: int = key(3, "k, the kinds of brackets", least=1, most=50)
    depth: int = key(6, "m, the most brackets that are open at once", least=1, most=50)
    longest: int = key(48, "symbols of the longest string", least=2, most=400)

    name = "dyck"
    knob = "depth: the largest number of brackets that are open at once"
    source = "Hewitt et al. 2020 (bounded Dyck, arXiv:2010.07515); Chomsky & Schützenberger 1963"

    def __post_init__(self) -> None:
        super().__post_init__()
        if 2 * self.depth > self.longest:
            raise UserError(
                f"language 'dyck': no string of {self.longest} symbols is {self.depth} deep; "
                f"set longest to {2 * self.depth} or more, or depth to {self.longest // 2} or less"
            )

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
        """For each symbol whether it opens: the path with that number among those that reach the depth exactly."""
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

    def ground_truth(self, text: str) -> dict:
        return {"difficulty": most_open(text.split(" "))}

    def alphabet(self) -> tuple[str, ...]:
        return tuple(symbol for pair in bracket_pairs(self.kinds) for symbol in pair)

    def edits(self, symbols: list[str]) -> dict[str, list[Edit]]:
        """`kind` leaves the levels as they are; `order` moves a closing bracket forward; none makes it deeper."""
        closing_of = dict(bracket_pairs(self.kinds))
        closings = set(closing_of.values())
        return {
            "kind": [
                ((i, other),)
                for i, own in enumerate(symbols)
                if own in closings
                for other in closing_of.values()
                if other != own
            ],
            "order": [
                ((i, closing), (i + 1, opening))
                for i, (opening, closing) in enumerate(zip(symbols, symbols[1:], strict=False))
                if opening in closing_of and closing in closings
            ],
            "count": [((i, closing_of[own]),) for i, own in enumerate(symbols) if own in closing_of],
        }
