"""The passes through a model that answer requests: each distinct prefix is read once.

Sentences of a benchmark begin alike: the two of a minimal pair until they differ, and many pairs with the same words.
In alphabetical order, equal beginnings are neighbours. So requests are sorted and packed into rows; a row is a tree of
tokens, in which every token attends to its ancestors alone and stands at the position of its depth. A model that takes
such rows needs about half of the tokens of BLiMP; for one that does not, each distinct request is a row of its own.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from tokenformer.batches import batches
from tokenformer.evaluation.requests import Request

TOKENS_OF_A_ROW = 128
"""Tokens of a tree: more share more prefixes, and make attention, which looks at all pairs of a row, dearer."""

TOKENS_OF_A_PASS = {"cpu": 2048, "cuda": 65536}
"""Tokens of a forward pass when the batch size is automatic, by type of device."""


@dataclass
class _Row:
    """A tree under construction; a node's parent is the node before it in its text."""

    ids: list[int] = field(default_factory=list)
    parents: list[int] = field(default_factory=list)
    depths: list[int] = field(default_factory=list)
    nodes: list[int] = field(default_factory=list)
    targets: list[int] = field(default_factory=list)
    slots: list[int] = field(default_factory=list)


@dataclass(frozen=True)
class Batch:
    """Rows for one forward pass, padded at their ends, and the tokens whose log-probability is asked.

    Args:
        ids: int64 [rows, length].
        parents: int64 [rows, length]; the node that a token follows, -1 for the first of a text and for padding.
        depths: int64 [rows, length]; how many tokens stand before, which is a token's position.
        rows, nodes: int64 [asked]; the token after which the target stands.
        targets: int64 [asked]; token ids.
        slots: int64 [asked]; where the plan keeps each answer.
    """

    ids: np.ndarray
    parents: np.ndarray
    depths: np.ndarray
    rows: np.ndarray
    nodes: np.ndarray
    targets: np.ndarray
    slots: np.ndarray

    def ancestors(self) -> np.ndarray:
        """Which nodes each node attends to, its ancestors and itself: bool [rows, length, length]."""
        count, length = self.ids.shape
        mask, every = np.zeros((count, length, length), dtype=bool), np.arange(count)
        for node in range(length):
            above = self.parents[:, node]
            inherits = above >= 0
            mask[inherits, node] = mask[every[inherits], above[inherits]]
            mask[:, node, node] = True
        return mask


class ScoringPlan:
    """The batches that answer some requests, and how their answers make scores.

    Args:
        share_prefixes: rows are trees; otherwise each is one text, for any causal model.
        batch_size: rows of a forward pass; None: as many as `tokens` allows.
        tokens: of a forward pass, where `batch_size` is None.
        multiple: of which the length of a row must be one.
    """

    def __init__(
        self,
        requests: Sequence[Request],
        share_prefixes: bool = False,
        batch_size: int | None = None,
        tokens: int = TOKENS_OF_A_PASS["cpu"],
        multiple: int = 1,
    ):
        self._slots: list[list[int]] = [[] for _ in requests]
        self.size = 0
        self._longest = max((len(request.tokens) for request in requests), default=1)
        rows = self._rows(requests, share_prefixes)
        self.tokens = sum(len(row.ids) for row in rows)
        self.batches = [_as_batch(part, multiple) for part in _parts(rows, batch_size, tokens, multiple)]

    def _rows(self, requests: Sequence[Request], share_prefixes: bool) -> list[_Row]:
        order = sorted(range(len(requests)), key=lambda index: requests[index].tokens)
        room = max(TOKENS_OF_A_ROW, self._longest - 1) if share_prefixes else 0
        rows: list[_Row] = []
        before: tuple[int, ...] = ()
        path: list[int] = []  # nodes of the text before; one for each of its tokens that is read
        slots: list[int] = []  # of the text before; one for each token but its first, -1 where it is not asked
        for index in order:
            tokens, scored = requests[index].tokens, requests[index].scored
            common = _common_prefix(before, tokens)
            is_same = common == len(tokens) == len(before)
            read = min(common, len(path))
            if not rows or (not is_same and len(rows[-1].ids) + len(tokens) - 1 - read > room):
                rows.append(_Row())
                common, read, path, slots = 0, 0, [], []
            row = rows[-1]
            path = path[:read] + _appended(row, path[read - 1] if read else -1, read, tokens[read:-1])
            slots = slots[: max(0, common - 1)]
            slots += [-1] * (len(tokens) - 1 - len(slots))
            self._ask(row, tokens, path, slots, len(tokens) - scored)
            self._slots[index] = slots[len(tokens) - 1 - scored :]
            before = tokens
        return rows

    def _ask(self, row: _Row, tokens: Sequence[int], path: list[int], slots: list[int], start: int) -> None:
        """Asks for the tokens from `start` on that nobody asked for; `slots` are filled in."""
        for position in range(start, len(tokens)):
            if slots[position - 1] < 0:
                slots[position - 1] = self.size
                row.nodes.append(path[position - 1])
                row.targets.append(tokens[position])
                row.slots.append(self.size)
                self.size += 1

    def sums(self, values: np.ndarray) -> list[float]:
        """The log-probability of each request, from the answers to all slots (float64 [size]); correctly rounded, so
        that texts of equally probable tokens are equal in any order."""
        listed = values.tolist()
        return [math.fsum([listed[slot] for slot in slots]) for slots in self._slots]

    def all_true(self, values: np.ndarray) -> list[bool]:
        """Tells of each request whether all of its slots are true (bool [size])."""
        listed = values.tolist()
        return [all(listed[slot] for slot in slots) for slots in self._slots]


def _common_prefix(first: Sequence[int], second: Sequence[int]) -> int:
    for position, (one, other) in enumerate(zip(first, second, strict=False)):
        if one != other:
            return position
    return min(len(first), len(second))


def _appended(row: _Row, parent: int, depth: int, ids: Sequence[int]) -> list[int]:
    """Appends a chain of tokens below `parent`, and gives its nodes."""
    if not ids:
        return []
    start = len(row.ids)
    nodes = list(range(start, start + len(ids)))
    row.ids += ids
    row.parents += [parent, *nodes[:-1]]
    row.depths += range(depth, depth + len(ids))
    return nodes


def _parts(rows: list[_Row], batch_size: int | None, tokens: int, multiple: int) -> Iterator[list[_Row]]:
    """Rows for each pass, the longest first, which needs the most memory; rows of one length stand together."""
    rows = sorted(rows, key=lambda row: -len(row.ids))
    if batch_size is not None:
        return batches(rows, batch_size, lambda row: 1)
    return batches(rows, tokens, lambda row: _rounded(len(row.ids), multiple), padded=True)


def _rounded(length: int, multiple: int) -> int:
    return math.ceil(length / multiple) * multiple


def _as_batch(rows: list[_Row], multiple: int) -> Batch:
    length = _rounded(max(len(row.ids) for row in rows), multiple)

    def padded(name: str, value: int) -> np.ndarray:
        table = np.full((len(rows), length), value, dtype=np.int64)
        for number, row in enumerate(rows):
            table[number, : len(row.ids)] = getattr(row, name)
        return table

    def joined(name: str) -> np.ndarray:
        return np.array([value for row in rows for value in getattr(row, name)], dtype=np.int64)

    counts = [len(row.nodes) for row in rows]
    return Batch(
        ids=padded("ids", 0),
        parents=padded("parents", -1),
        depths=padded("depths", 0),
        rows=np.repeat(np.arange(len(rows)), counts),
        nodes=joined("nodes"),
        targets=joined("targets"),
        slots=joined("slots"),
    )
