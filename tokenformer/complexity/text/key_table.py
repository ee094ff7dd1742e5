"""Where each of many numbers stands in a fixed list: a hash table in arrays.

A binary search of 100,000 keys misses the processor's cache a dozen times for each number that is looked up; the table
misses it once or twice.
"""

import numpy as np

_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
"""2**64 over the golden ratio: spreads consecutive keys (Knuth, The Art of Computer Programming 3, 6.4)."""

SLOTS_PER_KEY = 4
EMPTY = -1


class KeyTable:
    """Open addressing with linear probing over k different keys, int64 of at least 0."""

    def __init__(self, keys: np.ndarray):
        bits = max(int(SLOTS_PER_KEY * keys.size).bit_length(), 1)
        self._shift = np.uint64(64 - bits)
        self._last = (1 << bits) - 1
        self._keys = np.full(1 << bits, EMPTY, np.int64)
        self._places = np.full(1 << bits, EMPTY, np.int32)
        slot, left = self._slots(keys), np.arange(keys.size)
        while left.size:
            free = left[self._keys[slot[left]] == EMPTY]
            # Of several keys for one slot the last one is written; the others go on.
            self._keys[slot[free]], self._places[slot[free]] = keys[free], free
            left = left[self._keys[slot[left]] != keys[left]]
            slot[left] = (slot[left] + 1) & self._last

    def _slots(self, keys: np.ndarray) -> np.ndarray:
        return ((keys.astype(np.uint64) * _MULTIPLIER) >> self._shift).astype(np.int64)

    def places(self, keys: np.ndarray) -> np.ndarray:
        """int64: index of each key in the list; EMPTY for one that is not in it."""
        slot = self._slots(keys)
        found = self._keys[slot]
        place = np.where(found == keys, self._places[slot], EMPTY).astype(np.int64)
        left = np.flatnonzero((found != keys) & (found != EMPTY))
        while left.size:
            slot[left] = (slot[left] + 1) & self._last
            found = self._keys[slot[left]]
            hit = found == keys[left]
            place[left[hit]] = self._places[slot[left[hit]]]
            left = left[~hit & (found != EMPTY)]
        return place
