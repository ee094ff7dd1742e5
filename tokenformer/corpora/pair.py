"""A minimal pair: a right sentence, and one that differs a little and is wrong."""

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class MinimalPair:
    """Two sentences; a model that knows the language gives the first the higher probability."""

    sentence_good: str
    sentence_bad: str
    difficulty: int
    """A number in the unit of the language's knob; for code, how deep its statements are nested."""
    kind: str
    """The kind of edit that made the bad sentence."""

    def as_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return asdict(self)
