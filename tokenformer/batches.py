"""Items in lists of bounded size."""

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

Item = TypeVar("Item")


def batches(
    items: Iterable[Item], most: int, size: Callable[[Item], int] = len, padded: bool = False
) -> Iterator[list[Item]]:
    """`items` in order, in lists whose sizes add up to `most` at most; a larger item is a list of its own.

    Args:
        size: of an item, by default its length: the characters of a text.
        padded: whether each item of a list takes as much room as the largest one there.
    """
    batch, total, largest = [], 0, 0
    for item in items:
        amount = size(item)
        room = max(largest, amount) * (len(batch) + 1) if padded else total + amount
        if batch and room > most:
            yield batch
            batch, total, largest = [], 0, 0
        batch.append(item)
        total, largest = total + amount, max(largest, amount)
    if batch:
        yield batch
