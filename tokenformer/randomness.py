"""Random numbers that depend on a name alone: not on the order of draws, the layout, the process or the platform."""

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

ROUNDS = 6


def named_generator(*name: object) -> "torch.Generator":
    """A CPU generator of torch, seeded by a name alone.

    Args:
        name: parts of the name, such as a seed and the name of a parameter; a part has no colon, except the last.
    """
    import torch  # here, so that this module costs nothing to import

    digest = hashlib.sha256(":".join(map(str, name)).encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "little") >> 1)


class Permutation:
    """The numbers 0 to `size` - 1 in an order that a key decides, of which any place is known without the others.

    A Feistel network over a hash, walked until the number is in range (Black & Rogaway 2002, "Ciphers with arbitrary
    finite domains"; less than four walks in the mean). Drawing without replacement takes no memory, for any `size`.
    """

    def __init__(self, size: int, *key: object):
        """`size`: 1 or more; `key`: anything whose repr() is always the same."""
        self.size = size
        self._key = repr(key).encode()
        self._half_bits = max(1, -(-(size - 1).bit_length() // 2))
        self._bytes = -(-self._half_bits // 8) + 8

    def __getitem__(self, place: int) -> int:
        """The number at that place; raises IndexError beyond the end."""
        if not 0 <= place < self.size:
            raise IndexError(place)
        number = self._shuffled(place)
        while number >= self.size:
            number = self._shuffled(number)
        return number

    def _shuffled(self, number: int) -> int:
        left, right = number >> self._half_bits, number & ((1 << self._half_bits) - 1)
        for turn in range(ROUNDS):
            left, right = right, left ^ self._hashed(turn, right)
        return left << self._half_bits | right

    def _hashed(self, turn: int, half: int) -> int:
        content = b"%d:%x:%s" % (turn, half, self._key)
        return int.from_bytes(hashlib.shake_128(content).digest(self._bytes), "big") % (1 << self._half_bits)


class Draws:
    """An endless row of numbers that a key decides."""

    def __init__(self, *key: object):
        """`key`: anything whose repr() is always the same."""
        self._key = repr(key).encode()
        self._drawn = 0

    def below(self, bound: int) -> int:
        """The next number, evenly from 0 to `bound` - 1; the bias is below bound / 2**128."""
        self._drawn += 1
        content = b"%d:%s" % (self._drawn, self._key)
        return int.from_bytes(hashlib.shake_128(content).digest(16), "big") % bound

    def happens(self, percent: int) -> bool:
        """True with a probability of `percent` in a hundred."""
        return self.below(100) < percent
