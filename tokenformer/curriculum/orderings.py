"""In which order documents are read.

What is read is chosen first (`choose_copies`) and is the same for every ordering, so that two runs that differ in
their ordering see equal data.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from tokenformer.curriculum.parameters import NoParameters, filled_parameters, number_between
from tokenformer.errors import UserError


@dataclass(frozen=True)
class Copies:
    """The readings of documents that a run is made of, epoch by epoch; a document read twice has two copies.

    Attributes:
        document: int64[m], index of the document.
        epoch: int64[m], ascending.
        tokens: int64[m], tokens of the document.
        complexity: float64[m], complexity of the document.
    """

    document: np.ndarray
    epoch: np.ndarray
    tokens: np.ndarray
    complexity: np.ndarray


def choose_copies(
    tokens: np.ndarray, complexity: np.ndarray, weight: np.ndarray, budget: int, generator: np.random.Generator
) -> Copies:
    """Copies of documents with `budget` tokens in all, or a part of one document more.

    An epoch holds every document `weight` times. Of a fractional weight the documents that occur once more are drawn
    anew for each epoch such that, over the epochs, all come equally often: floor(epochs * weight) times or once more.
    The last epoch, where it is not whole, is a random subset.

    Args:
        tokens: int64[n], positive.
        complexity: float64[n].
        weight: float64[n], not negative, some positive.
        budget: tokens to reach.
    """
    phase = np.empty(tokens.size)
    for value in np.unique(weight):
        same = np.flatnonzero(weight == value)
        phase[same] = (generator.permutation(same.size) + generator.random()) / same.size
    chosen, epoch, taken = [], 0, 0
    while taken < budget:
        repeats = np.floor((epoch + 1) * weight + phase) - np.floor(epoch * weight + phase)
        documents = np.repeat(np.arange(tokens.size), repeats.astype(np.int64))
        size = int(tokens[documents].sum())
        if taken + size > budget:
            documents = generator.permutation(documents)
            needed = np.searchsorted(np.cumsum(tokens[documents]), budget - taken) + 1
            documents = np.sort(documents[:needed])
        chosen.append(documents)
        taken += size
        epoch += 1
    document = np.concatenate(chosen)
    return Copies(
        document=document,
        epoch=np.repeat(np.arange(epoch), [part.size for part in chosen]),
        tokens=tokens[document],
        complexity=complexity[document],
    )


def random_order(copies: Copies, parameters: NoParameters, generator: np.random.Generator) -> np.ndarray:
    """Every epoch in an order of its own."""
    return np.lexsort((generator.random(copies.document.size), copies.epoch))


def easy_to_hard_order(copies: Copies, parameters: NoParameters, generator: np.random.Generator) -> np.ndarray:
    """Every epoch by ascending complexity; equals in random order."""
    return np.lexsort((generator.random(copies.document.size), copies.complexity, copies.epoch))


@dataclass(frozen=True)
class PacedParameters:
    """Competence pacing (Platanios et al. 2019, arXiv:1903.09848, equations 6 and 7).

    At progress t of the run, a fraction of its tokens, the easiest part
    c(t) = min(1, (t / end * (1 - start**exponent) + start**exponent) ** (1 / exponent)) of all tokens is admitted.

    Attributes:
        start: part that is admitted from the beginning, in [0, 1].
        end: progress at which everything is admitted, in (0, 1].
        exponent: 1 admits at a constant rate, 2 is the paper's square root: fast first, then slower.
    """

    start: float = 0.25
    end: float = 0.6
    exponent: float = 1.0

    def __post_init__(self):
        owner = "ordering 'paced'"
        number_between(owner, "start", self.start, 0, 1, low_included=True)
        number_between(owner, "end", self.end, 0, 1, low_included=False)
        number_between(owner, "exponent", self.exponent, 0, 100, low_included=False)

    def admitted(self, progress: np.ndarray) -> np.ndarray:
        """c(t), the part of all tokens admitted at each progress in [0, 1]."""
        first = self.start**self.exponent
        return np.minimum(1.0, (progress / self.end * (1 - first) + first) ** (1 / self.exponent))

    def progress_at(self, part: np.ndarray) -> np.ndarray:
        """The inverse: the least progress at which each part in [0, 1] is admitted."""
        first = self.start**self.exponent
        if first == 1:
            return np.zeros_like(part)
        return np.maximum(0.0, self.end * (part**self.exponent - first) / (1 - first))


def paced_order(copies: Copies, parameters: PacedParameters, generator: np.random.Generator) -> np.ndarray:
    """Copies drawn at random from all those up to a rising level of complexity, so that easy text stays in the mix.

    Level and epochs: copies of all epochs are one pool, ranked by complexity (equals at random); a copy is admitted
    when the tokens up to and with it are at most c(t) of all tokens (`PacedParameters`). Each copy is read once. When
    everything that is admitted has been read, the easiest copy that is left is admitted ahead of its time.
    """
    size = copies.document.size
    ranked = np.lexsort((generator.random(size), copies.complexity))
    cumulative = np.cumsum(copies.tokens[ranked])
    total = cumulative[-1]
    admitted_from = (parameters.progress_at(cumulative / total) * total).tolist()
    tokens = copies.tokens[ranked].tolist()
    draws = generator.random(size).tolist()
    pool: list[int] = []
    drawn: list[int] = []
    admitted = read = 0
    for draw in draws:
        while admitted < size and (admitted_from[admitted] <= read or not pool):
            pool.append(admitted)
            admitted += 1
        position = int(draw * len(pool))
        rank = pool[position]
        pool[position] = pool[-1]
        pool.pop()
        drawn.append(rank)
        read += tokens[rank]
    return ranked[drawn]


@dataclass(frozen=True)
class Ordering:
    """How copies are ordered.

    Attributes:
        name: key in the registry.
        order: (copies, parameters, generator) -> int64[m], a permutation of the copies.
        parameters: dataclass of what the user may set.
    """

    name: str
    order: Callable[[Copies, Any, np.random.Generator], np.ndarray]
    parameters: type = NoParameters


ORDERINGS: dict[str, Ordering] = {
    "random": Ordering("random", random_order),
    "easy_to_hard": Ordering("easy_to_hard", easy_to_hard_order),
    "paced": Ordering("paced", paced_order, PacedParameters),
}


def find_ordering(name: str) -> Ordering:
    """The ordering of that name; raises UserError where there is none."""
    if name not in ORDERINGS:
        raise UserError(f"there is no ordering '{name}'; choose one of: {', '.join(ORDERINGS)}")
    return ORDERINGS[name]


def ordering_parameters(name: str, values: Mapping[str, Any]) -> Any:
    """The parameters of the ordering `name` from the user's keys; raises UserError for unknown or invalid ones."""
    return filled_parameters(f"ordering '{name}'", find_ordering(name).parameters, values)
