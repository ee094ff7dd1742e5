"""A campaign tries many cases at random, from a seed, and prints what came of them."""

import os
import random
import signal
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from tokenformer.errors import UserError

SCALE = float(os.environ.get("CAMPAIGN_SCALE", "1"))
"""How many cases are tried, in multiples of the usual number."""

SEED = int(os.environ.get("CAMPAIGN_SEED", "0"))


class Campaign:
    """Counts of outcomes by name, and what was not right.

    Args:
        name: of the campaign, which with the seed decides its random numbers.
    """

    def __init__(self, name: str):
        self.name = name
        self.random = random.Random(zlib.crc32(f"{name} {SEED}".encode()))
        self.outcomes: Counter[str] = Counter()
        self.wrong: list[str] = []

    def cases(self, usual: int) -> range:
        return range(max(1, round(usual * SCALE)))

    @contextmanager
    def case(self, what: str, seconds: int = 60) -> Iterator[None]:
        """One case: a UserError of one line is an answer, any other error and a case that takes too long are not."""

        def too_long(number, frame):
            raise TimeoutError(f"longer than {seconds} s")

        before = signal.signal(signal.SIGALRM, too_long)
        signal.alarm(seconds)
        try:
            yield
            self.outcomes["went on"] += 1
        except UserError as error:
            self.outcomes["refused in words"] += 1
            if not str(error).strip():
                self.wrong.append(f"{what}: an empty message")
        except Exception as error:  # whatever it is, it is what the campaign looks for
            self.outcomes["wrong"] += 1
            self.wrong.append(f"{what}: {type(error).__name__}: {str(error)[:300]}")
        finally:
            signal.alarm(0)
            signal.signal(signal.SIGALRM, before)

    def end(self) -> None:
        """Prints the counts; fails with what was not right."""
        counts = ", ".join(f"{count:,} {outcome}" for outcome, count in sorted(self.outcomes.items()))
        print(f"\ncampaign {self.name}, seed {SEED}: {self.outcomes.total():,} cases: {counts}")
        assert self.wrong == [], "\n".join(self.wrong[:20])


def flipped(content: bytes, chance: random.Random) -> bytes:
    """The same with one other bit; a bit of an empty file is a byte."""
    if not content:
        return b"\x01"
    bit = chance.randrange(8 * len(content))
    changed = bytearray(content)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)
