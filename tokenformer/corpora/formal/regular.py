"""Random regular languages: the strings that a drawn finite automaton accepts."""

from dataclasses import dataclass
from functools import cache

from tokenformer.config.keys import key
from tokenformer.corpora.formal.language import FormalLanguage, Stratum, alphabet_of, as_symbols, located
from tokenformer.errors import UserError
from tokenformer.randomness import Draws

ATTEMPTS = 1000
TRANSITION_PERCENT = 70
"""Percentage of the pairs of a state and a letter beyond those that make every state reachable."""
ACCEPTING_PERCENT = 30

Transitions = tuple[dict[str, int], ...]
"""One mapping a state: letter -> next state; a letter that is not there is refused."""


@dataclass(frozen=True)
class Automaton:
    """A deterministic finite automaton that starts in state 0."""

    transitions: Transitions
    accepting: frozenset[int]

    def run(self, symbols: list[str]) -> list[int] | None:
        """The states from the first to the last; None where a letter is refused."""
        states = [0]
        for symbol in symbols:
            after = self.transitions[states[-1]].get(symbol)
            if after is None:
                return None
            states.append(after)
        return states

    def completions(self, longest: int) -> list[list[int]]:
        """`table[left][state]`: ways to reach acceptance with exactly `left` more letters."""
        table = [[int(state in self.accepting) for state in range(len(self.transitions))]]
        for _ in range(longest):
            table.append([sum(table[-1][after] for after in row.values()) for row in self.transitions])
        return table

    def is_minimal(self) -> bool:
        """Tells whether every state leads to acceptance and no two states accept the same strings (Moore 1956)."""
        classes = [int(state in self.accepting) for state in range(len(self.transitions))]
        for _ in self.transitions:
            signatures = [
                (own, *sorted((letter, classes[after]) for letter, after in row.items()))
                for own, row in zip(classes, self.transitions, strict=True)
            ]
            numbers = {signature: number for number, signature in enumerate(dict.fromkeys(signatures))}
            classes = [numbers[signature] for signature in signatures]
        return len(set(classes)) == len(classes) and all(map(any, zip(*self.completions(len(classes)), strict=True)))


@dataclass(frozen=True)
class Regular(FormalLanguage):
    """The strings that a random automaton of `states` states accepts; it is minimal: fewer states would not do.

    `machine` chooses the automaton, so that one language can be drawn from with several seeds. Strings of one length
    are equally likely.
    """

    states: int = key(6, "states of the automaton", least=2, most=100)
    letters: int = key(3, "different letters", least=2, most=26)
    longest: int = key(32, "symbols of the longest string", least=1, most=1000)
    machine: int = key(0, "which automaton is drawn", least=0)

    name = "regular"
    knob = "length; between languages, the number of states"
    source = "random automata: Tomita 1982, Lang et al. 1998 (Abbadingo); Delétang et al. 2023 (arXiv:2207.02098)"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.strata():
            raise UserError(f"language 'regular': no string has {self.longest} symbols or less; set a higher longest")

    def automaton(self) -> Automaton:
        return drawn_automaton(self.states, self.letters, self.machine)

    def strata(self) -> list[Stratum]:
        table = _completions(self)
        return [Stratum(size, size, table[size][0]) for size in range(1, self.longest + 1) if table[size][0]]

    def symbols(self, stratum: Stratum, number: int) -> list[str]:
        automaton, table = self.automaton(), _completions(self)
        state, symbols = 0, []
        for left in range(stratum.size - 1, -1, -1):
            options = ((step, table[left][step[1]]) for step in automaton.transitions[state].items())
            (letter, state), number = located(options, number)
            symbols.append(letter)
        return symbols

    def accepts(self, text: str) -> bool:
        symbols = as_symbols(text)
        states = self.automaton().run(symbols) if symbols else None
        return states is not None and states[-1] in self.automaton().accepting

    def ground_truth(self, text: str) -> dict:
        """Facts about a string, with the states that the automaton passes through, the first one included."""
        symbols = text.split(" ")
        return {"difficulty": len(symbols), "states": self.automaton().run(symbols)}

    def alphabet(self) -> tuple[str, ...]:
        return alphabet_of(self.letters)

    def rules(self) -> dict:
        automaton = self.automaton()
        return {"transitions": list(automaton.transitions), "accepting": sorted(automaton.accepting), "start": 0}


@cache
def _completions(language: Regular) -> list[list[int]]:
    return language.automaton().completions(language.longest)


@cache
def drawn_automaton(states: int, letters: int, machine: int) -> Automaton:
    """The automaton that these numbers choose: minimal, with infinitely many strings.

    Every string can be made wrong by its last letter.

    Raises UserError where none is found in ATTEMPTS draws.
    """
    draws = Draws("automaton", states, letters, machine)
    for _ in range(ATTEMPTS):
        automaton = _attempt(states, alphabet_of(letters), draws)
        if _may_always_err(automaton, letters) and automaton.is_minimal() and _has_long_strings(automaton):
            return automaton
    raise UserError(
        f"language 'regular': no minimal automaton with states={states} and letters={letters} was found in {ATTEMPTS} "
        "draws; set fewer states, more letters or another machine"
    )


def _attempt(states: int, alphabet: tuple[str, ...], draws: Draws) -> Automaton:
    rows: list[dict[str, int]] = [{} for _ in range(states)]
    for state in range(1, states):
        free = [(earlier, letter) for earlier in range(state) for letter in alphabet if letter not in rows[earlier]]
        earlier, letter = free[draws.below(len(free))]
        rows[earlier][letter] = state
    for row in rows:
        for letter in alphabet:
            if letter not in row and draws.happens(TRANSITION_PERCENT):
                row[letter] = draws.below(states)
    accepting = frozenset(state for state in range(states) if draws.happens(ACCEPTING_PERCENT))
    in_order = tuple({letter: row[letter] for letter in alphabet if letter in row} for row in rows)
    return Automaton(in_order, accepting)


def _may_always_err(automaton: Automaton, letters: int) -> bool:
    """Tells whether every letter is of use somewhere, and in no state every letter leads to acceptance."""
    used = {letter for row in automaton.transitions for letter in row}
    return len(used) == letters and all(
        sum(after in automaton.accepting for after in row.values()) < letters for row in automaton.transitions
    )


def _has_long_strings(automaton: Automaton) -> bool:
    """Infinitely many strings: one of a length from n to 2n - 1 (Hopcroft & Ullman 1979, theorem 3.7)."""
    states = len(automaton.transitions)
    return any(row[0] for row in automaton.completions(2 * states - 1)[states:])
