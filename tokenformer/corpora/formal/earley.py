"""Recognises the strings of a context-free grammar, by Earley's algorithm (1970)."""

from collections.abc import Mapping, Sequence

Grammar = Mapping[str, Sequence[tuple[str, ...]]]
"""Nonterminal -> right sides, none of them empty; what is no key is a terminal."""


def derives(grammar: Grammar, start: str, symbols: Sequence[str]) -> bool:
    """For any grammar without empty right sides; time grows with the cube of the length at worst.

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
