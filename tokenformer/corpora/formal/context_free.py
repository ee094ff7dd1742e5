"""Random context-free languages: the strings that a drawn grammar derives."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from tokenformer.config.keys import key
from tokenformer.corpora.formal.language import FormalLanguage, Stratum, alphabet_of, as_symbols, located
from tokenformer.errors import UserError
from tokenformer.randomness import Draws

ATTEMPTS = 1000
RULE_PERCENT = 65
"""Percentage of the pairs of a nonterminal and a letter that get a rule."""
NONTERMINALS_AFTER = (0, 0, 0, 1, 1, 2, 2)
"""Nonterminals after the letter of a rule, each entry as likely."""

Grammar = Mapping[str, Sequence[tuple[str, ...]]]
"""Nonterminal -> right sides, none of them empty; what is no key is a terminal."""

Rules = dict[str, dict[str, tuple[str, ...]]]
"""Nonterminal -> letter -> nonterminals after it."""


@dataclass(frozen=True)
class ContextFree(FormalLanguage):
    """The strings that a random grammar derives from S; its rules are A -> a, A -> a B and A -> a B C.

    No two rules of one nonterminal begin with the same letter (a simple grammar), so that every string has one
    derivation and drawing is exact. Some nonterminal embeds itself, A => u A v, as it does in every grammar of a
    language that no automaton accepts (Chomsky 1959). `machine` chooses the grammar. Strings of one length are equally
    likely: a probabilistic grammar conditioned on the length, with the probabilities that make them so.
    """

    nonterminals: int = key(4, "nonterminals of the grammar", least=1, most=25)
    letters: int = key(4, "different letters", least=2, most=26)
    longest: int = key(32, "symbols of the longest string", least=1, most=100)
    machine: int = key(0, "which grammar is drawn", least=0)

    name = "context_free"
    knob = "length; between languages, the number of nonterminals"
    source = "simple grammars: Korenjak & Hopcroft 1966; random grammars to test learners: Clark & Eyraud 2007"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.strata():
            raise UserError(
                f"language 'context_free': no string has {self.longest} symbols or less; set a higher longest"
            )

    def grammar(self) -> Rules:
        return drawn_rules(self.nonterminals, self.letters, self.machine)

    def strata(self) -> list[Stratum]:
        counts = _counts(self)["S"]
        return [Stratum(size, size, counts[size]) for size in range(1, self.longest + 1) if counts[size]]

    def symbols(self, stratum: Stratum, number: int) -> list[str]:
        counts, grammar, symbols = _counts(self), self.grammar(), []
        # What is still to be derived: nonterminal, length, and number among its strings of that length.
        ahead = [("S", stratum.size, number)]
        while ahead:
            left, size, number = ahead.pop()
            options = ((rule, _ways(counts, rule[1], size - 1)) for rule in grammar[left].items())
            (letter, after), number = located(options, number)
            symbols.append(letter)
            ahead += _parts(counts, after, size - 1, number)[::-1]
        return symbols

    def accepts(self, text: str) -> bool:
        symbols = as_symbols(text)
        sides = {
            left: [(letter, *after) for letter, after in options.items()] for left, options in self.grammar().items()
        }
        return (
            symbols is not None and symbols == [s for s in symbols if s not in sides] and derives(sides, "S", symbols)
        )

    def ground_truth(self, text: str) -> dict:
        """Facts about a string, with the leftmost derivation: the nonterminal that each symbol was derived from."""
        grammar, ahead, expanded = self.grammar(), ["S"], []
        for letter in text.split(" "):
            expanded.append(ahead.pop())
            ahead += grammar[expanded[-1]][letter][::-1]
        return {"difficulty": len(expanded), "derivation": expanded}

    def alphabet(self) -> tuple[str, ...]:
        return alphabet_of(self.letters)

    def rules(self) -> dict:
        return {
            "rules": {
                left: [" ".join((letter, *after)) for letter, after in options.items()]
                for left, options in self.grammar().items()
            },
            "start": "S",
        }


@cache
def _counts(language: ContextFree) -> dict[str, list[int]]:
    return string_counts(language.grammar(), language.longest)


def string_counts(rules: Rules, longest: int) -> dict[str, list[int]]:
    """`counts[nonterminal][length]`: strings of that length that are derived from it."""
    counts: dict[str, list[int]] = {left: [0] for left in rules}
    for size in range(1, longest + 1):
        totals = {left: sum(_ways(counts, after, size - 1) for after in rules[left].values()) for left in rules}
        for left, total in totals.items():
            counts[left].append(total)
    return counts


def _ways(counts: dict[str, list[int]], nonterminals: tuple[str, ...], size: int) -> int:
    """Strings of that length derived from so many nonterminals in a row."""
    if len(nonterminals) < 2:
        return counts[nonterminals[0]][size] if nonterminals else int(size == 0)
    first, second = (counts[each] for each in nonterminals)
    return sum(first[part] * second[size - part] for part in range(1, size))


def _parts(
    counts: dict[str, list[int]], nonterminals: tuple[str, ...], size: int, number: int
) -> list[tuple[str, int, int]]:
    """How the string with that number is divided among the nonterminals."""
    if len(nonterminals) < 2:
        return [(each, size, number) for each in nonterminals]
    first, second = nonterminals
    options = ((part, counts[first][part] * counts[second][size - part]) for part in range(1, size))
    part, number = located(options, number)
    number, rest = divmod(number, counts[second][size - part])
    return [(first, part, number), (second, size - part, rest)]


@cache
def drawn_rules(nonterminals: int, letters: int, machine: int) -> Rules:
    """The grammar that these numbers choose: every nonterminal is of use, one embeds itself, strings are many.

    Raises UserError where none is found in ATTEMPTS draws.
    """
    draws = Draws("grammar", nonterminals, letters, machine)
    for _ in range(ATTEMPTS):
        rules = _attempt(nonterminals, alphabet_of(letters), draws)
        if _is_of_use(rules, letters):
            return rules
    raise UserError(
        f"language 'context_free': no grammar with nonterminals={nonterminals} and letters={letters} was found in "
        f"{ATTEMPTS} draws; set fewer nonterminals, more letters or another machine"
    )


def _attempt(nonterminals: int, alphabet: tuple[str, ...], draws: Draws) -> Rules:
    names = ("S", *(chr(ord("A") + number) for number in range(26) if chr(ord("A") + number) != "S"))[:nonterminals]
    return {
        left: {
            letter: tuple(
                names[draws.below(nonterminals)]
                for _ in range(NONTERMINALS_AFTER[draws.below(len(NONTERMINALS_AFTER))])
            )
            for letter in alphabet
            if draws.happens(RULE_PERCENT)
        }
        for left in names
    }


def _is_of_use(rules: Rules, letters: int) -> bool:
    """Tells whether all nonterminals and letters are reached and derive something, and one of them embeds itself.

    And whether every string can be made wrong by its last letter, because no nonterminal derives all letters.
    """
    used = {letter for options in rules.values() for letter in options}
    ends = max(sum(not after for after in options.values()) for options in rules.values())
    if len(used) < letters or ends == letters:
        return False
    productive: set[str] = set()
    for _ in rules:
        productive |= {
            left for left, options in rules.items() if any(productive >= {*after} for after in options.values())
        }
    if productive != {*rules}:
        return False
    inside = _contained(rules)
    is_reached = {"S", *(name for name, _ in inside["S"])} == {*rules}
    return is_reached and any((left, True) in inside[left] for left in rules)


def _contained(rules: Rules) -> dict[str, set[tuple[str, bool]]]:
    """Nonterminal -> nonterminals derived from it, and whether text follows them; a letter always goes before."""
    inside = {
        left: {(name, place + 1 < len(after)) for after in options.values() for place, name in enumerate(after)}
        for left, options in rules.items()
    }
    for _ in range(2 * len(rules)):
        for left, found in inside.items():
            inside[left] = found | {
                (deeper, ends or follows) for name, follows in found for deeper, ends in inside[name]
            }
    return inside


def derives(grammar: Grammar, start: str, symbols: Sequence[str]) -> bool:
    """Tells whether a grammar without empty right sides derives a string, by Earley's algorithm (1970).

    Time grows with the cube of the length at worst.
    An item is (nonterminal, right side, symbols of it that are matched, where it began).
    """
    waiting: list[dict[str, list]] = []
    items = {(start, side, 0, 0) for side in grammar[start]}
    for place in range(len(symbols) + 1):
        finished, wanted = _closed(grammar, items, waiting, place)
        if place == len(symbols):
            return (start, 0) in finished
        waiting.append(wanted)
        items = {(left, side, dot + 1, began) for left, side, dot, began in wanted.get(symbols[place], ())}
    return False


def _closed(grammar: Grammar, items: set, waiting: list[dict[str, list]], place: int) -> tuple[set, dict[str, list]]:
    """Predicts and completes until nothing is new: what is finished here, and the items by what they want next."""
    agenda, known = list(items), set(items)
    finished, wanted = set(), {}
    while agenda:
        left, side, dot, began = agenda.pop()
        if dot == len(side):
            finished.add((left, began))
            new = [(other, sides, at + 1, since) for other, sides, at, since in waiting[began].get(left, ())]
        else:
            wanted.setdefault(side[dot], []).append((left, side, dot, began))
            new = [(side[dot], option, 0, place) for option in grammar.get(side[dot], ())]
        fresh = [item for item in new if item not in known]
        known.update(fresh)
        agenda += fresh
    return finished, wanted
