"""Which Pattention a parameter of a Tokenformer belongs to."""

import re
from dataclasses import dataclass

from tokenformer.model.config import TokenformerConfig

_NAME = re.compile(r"\.decoder\.(\d+)\..*\.(query|key|value|output|feed_forward)\b.*\.(key_tokens|value_tokens|tau)$")


@dataclass(frozen=True)
class PattentionParameter:
    """A parameter of a Pattention, read off its name.

    Args:
        projection: "qkv", "output" or "feed_forward".
        layer: index of the block.
        kind: "key_tokens", "value_tokens" or "tau".
    """

    projection: str
    layer: int
    kind: str

    @classmethod
    def from_name(cls, name: str) -> "PattentionParameter | None":
        """None for a parameter that no Pattention has."""
        match = _NAME.search(name)
        if match is None:
            return None
        layer, module, kind = match.groups()
        return cls("qkv" if module in ("query", "key", "value") else module, int(layer), kind)

    def rows(self, config: TokenformerConfig) -> list[int]:
        """How many rows, or elements of tau, each segment has."""
        segments = config.segments(self.projection, self.layer)
        return [1 if self.kind == "tau" else segment.tokens for segment in segments]
