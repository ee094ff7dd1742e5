"""Minimal pairs and accuracy items of formal languages, each judged by the language's recogniser."""

from dataclasses import dataclass

from tokenformer.corpora.formal.language import FormalLanguage, as_text, edited
from tokenformer.corpora.formal.sampling import Draw, Sample
from tokenformer.corpora.pair import MinimalPair
from tokenformer.errors import UserError
from tokenformer.randomness import Permutation

MOST_TRIED = 2000
"""Edits of one kind to one string."""


@dataclass(frozen=True, slots=True)
class AccuracyItem:
    """A question with several answers, one of them right."""

    question: str
    choices: list[str]
    answer: int
    """Place of the right one in `choices`."""
    difficulty: int


def drawn_pairs(language: FormalLanguage, n: int, seed: int) -> list[MinimalPair]:
    """`n` pairs of different good strings, as evenly spread over the difficulties as the strings are.

    Raises UserError where the language has fewer strings, or a string that no small edit leads out of the language.
    """
    sample = Sample(language, {"pairs": n}, seed)
    return [pair_of(language, draw, number, seed) for number, draw in enumerate(sample)]


def pair_of(language: FormalLanguage, draw: Draw, number: int, seed: int) -> MinimalPair:
    """The drawn string and a small edit of it that the recogniser refuses.

    The kinds of edits take turns with `number`; a kind that finds none leaves the turn to the next.
    """
    symbols = draw.text.split(" ")
    edits = language.edits(symbols)
    kinds = [*edits]
    ordinary = [kind for kind in kinds if kind != "omission"]
    turn = number % len(ordinary)
    for kind in [*ordinary[turn:], *ordinary[:turn], *(kind for kind in kinds if kind not in ordinary)]:
        order = Permutation(max(1, len(edits[kind])), "edits", seed, number, kind)
        for place in range(min(len(edits[kind]), MOST_TRIED)):
            bad = as_text(edited(symbols, edits[kind][order[place]]))
            if bad and not language.accepts(bad):
                return MinimalPair(draw.text, bad, draw.stratum.difficulty, kind)
    raise UserError(
        f"language '{language.name}': no small edit of '{draw.text}' leads out of the language, so it has no minimal "
        "pair; choose another machine or other parameters"
    )


def accuracy_item_of(language: FormalLanguage, draw: Draw, number: int, seed: int) -> AccuracyItem | None:
    """The drawn string as a question, its answers in a random order; None for a language without questions."""
    question = language.choices(draw.text)
    if question is None:
        return None
    order = Permutation(len(question.choices), "choices", seed, number)
    choices = [question.choices[order[place]] for place in range(order.size)]
    return AccuracyItem(question.text, choices, choices.index(question.choices[0]), draw.stratum.difficulty)
