"""Items of a benchmark: texts of which a model should find one more probable than the others."""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

FAST_SHARE = 10
"""The fast sample holds one in so many items."""


@dataclass(frozen=True)
class Item:
    """One choice. The wrong texts stand first and the right one last, so that whoever takes the first of equals is
    wrong.

    Args:
        context: what all of them continue; empty for whole sentences.
        choices: the texts.
        stratum: kind of the item, which a sample keeps in its share.
    """

    context: str
    choices: tuple[str, ...]
    stratum: str = ""


def fast_sample(items: Sequence[Item], name: str) -> list[Item]:
    """A tenth of the items, rounded up, each stratum in its share: the same for the same items and `name`, forever."""
    return [items[place] for place in fast_places([item.stratum for item in items], name)]


def fast_places(strata: Sequence[str], name: str) -> list[int]:
    """The places of a tenth of some items, rising, given the stratum of each.

    The items of a stratum are shuffled and strata put one after the other; then every tenth item is taken.
    """
    random = np.random.Generator(np.random.PCG64(zlib.crc32(name.encode("utf-8"))))
    # Random words rather than `permutation`, whose method numpy may change.
    shuffled = sorted(zip(random.bit_generator.random_raw(len(strata)).tolist(), range(len(strata)), strict=True))
    by_stratum = sorted((index for _, index in shuffled), key=lambda index: strata[index])
    return sorted(by_stratum[::FAST_SHARE])
