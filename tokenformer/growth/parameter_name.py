"""The name of a parameter, read once: which layer, which module, and which part of a Pattention it is."""

import re
from dataclasses import dataclass

from tokenformer.model.config import TokenformerConfig

_LAYER = re.compile(r"(?<=\.decoder\.)\d+(?=\.)")
_PROJECTION = re.compile(r"\.(query|key|value|output|feed_forward)\b")
PATTENTION_KINDS = ("key_tokens", "value_tokens", "tau")


@dataclass(frozen=True)
class ParameterName:
    """The parts of a parameter's name.

    Args:
        full: the whole name, as Nanotron gives it in any layout; tied parameters have the embedding's.
        layer: index of the block; None outside of the blocks.
        module: the last module that is not Nanotron's pipeline block, such as "query".
        kind: the last part, such as "weight" or "key_tokens".
        projection: "qkv", "output" or "feed_forward" for a parameter of a Pattention; None for all others.
    """

    full: str
    layer: int | None
    module: str
    kind: str
    projection: str | None

    @classmethod
    def parse(cls, name: str) -> "ParameterName":
        """Reads a name, such as "model.decoder.0.pp_block.attention.qkv.query.key_tokens"."""
        *_, module, kind = name.replace(".pp_block", "").split(".")
        layer, projection = _LAYER.search(name), None
        if layer is not None and kind in PATTENTION_KINDS:
            found = _PROJECTION.search(name, layer.end())
            projection = found and ("qkv" if found[1] in ("query", "key", "value") else found[1])
        return cls(name, None if layer is None else int(layer[0]), module, kind, projection)

    @property
    def pattention(self) -> tuple[str, int]:
        """Projection and layer of the Pattention that this is a parameter of; ValueError for all other parameters."""
        if self.projection is None or self.layer is None:
            raise ValueError(f"{self.full} is no parameter of a Pattention")
        return self.projection, self.layer

    def in_layer(self, layer: int) -> str:
        """The name of the same parameter of another block."""
        return _LAYER.sub(str(layer), self.full, count=1)

    def rows(self, config: TokenformerConfig) -> list[int]:
        """How many rows, or elements of tau, each segment of this parameter of a Pattention has."""
        segments = config.segments(*self.pattention)
        return [1 if self.kind == "tau" else segment.tokens for segment in segments]
