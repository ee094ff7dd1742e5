"""Growth by appending parameter tokens: the operator of the Tokenformer (arXiv:2410.23168, section 3.3).

One side of a new token is zero at birth, so that the grown model computes what the old one did:

- `zero_values` (the default): random keys, zero values. The new tokens are a segment with a norm and a tau of their
  own, so the old segments do not notice them, and their own output is zero until their values learn. Keys have the
  root mean square of the old keys.
- `zero_keys`: zero keys, random values, in the norm of the last segment. A zero key adds nothing to the sum of squares,
  and tau is stored, so the function stays; gelu(0) = 0 keeps the new tokens silent until their keys learn.

Both zero would never get a gradient, and is not offered. `zero_values` with `norm: shared` is not exact, because random
keys enter the sum of squares that the old tokens are divided by; it is offered for comparison.
"""

import dataclasses
import hashlib
import math
from dataclasses import dataclass
from typing import Any

import torch

from tokenformer.errors import UserError
from tokenformer.growth.operator import GrowthContext
from tokenformer.model.config import PROJECTIONS, TokenformerConfig, TokenSegment

_PROJECTION_OF_MODULE = {
    "query": "qkv",
    "key": "qkv",
    "value": "qkv",
    "output": "output",
    "feed_forward": "feed_forward",
}


def projection_of(parameter_name: str) -> str | None:
    """ "qkv", "output" or "feed_forward" for a parameter of a Pattention, None for any other."""
    path = parameter_name.split(".")
    if path[-1] not in ("key_tokens", "value_tokens"):
        return None
    modules = [part for part in path[:-1] if part in _PROJECTION_OF_MODULE]
    return _PROJECTION_OF_MODULE[modules[-1]]


def _generator(context: GrowthContext, name: str) -> torch.Generator:
    digest = hashlib.sha256(f"{context.seed}:append_tokens:{context.stage}:{name}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "little") >> 1)


@dataclass(frozen=True)
class AppendTokens:
    """Multiplies the parameter tokens of every Pattention.

    Args:
        factor: how many times as many tokens a projection has after an event; more than 1.
        qkv, output, feed_forward: the factor of one projection alone, instead of `factor`; 1 leaves it as it is.
        new_tokens: "zero_values" or "zero_keys".
        norm: "own" or "shared"; None is the exact one for `new_tokens`.
    """

    factor: float = 2.0
    qkv: float | None = None
    output: float | None = None
    feed_forward: float | None = None
    new_tokens: str = "zero_values"
    norm: str | None = None

    name = "append_tokens"
    model_type = "tokenformer"

    def __post_init__(self):
        if self.new_tokens not in ("zero_values", "zero_keys"):
            raise UserError(f"append_tokens: new_tokens is {self.new_tokens!r}; choose zero_values or zero_keys")
        if self.norm not in (None, "own", "shared"):
            raise UserError(f"append_tokens: norm is {self.norm!r}; choose own or shared")
        if self.new_tokens == "zero_keys" and self.norm == "own":
            raise UserError("append_tokens: zero keys alone in a norm of their own have no direction; use norm: shared")
        factors = [self.factor_of(projection) for projection in PROJECTIONS]
        if min(factors) < 1 or max(factors) == 1:
            raise UserError(f"append_tokens: growth cannot shrink or stand still; the factors are {factors}")

    @property
    def own_norm(self) -> bool:
        return (self.norm or ("own" if self.new_tokens == "zero_values" else "shared")) == "own"

    @property
    def exact(self) -> bool:
        return self.own_norm or self.new_tokens == "zero_keys"

    def factor_of(self, projection: str) -> float:
        own = getattr(self, projection)
        return self.factor if own is None else own

    def _grown_segments(self, config: TokenformerConfig, projection: str) -> list[TokenSegment]:
        segments, present = config.segments(projection), config.tokens(projection)
        new = round(present * self.factor_of(projection)) - present
        if new == 0:
            return segments
        if self.own_norm:
            return [*segments, TokenSegment(new, math.sqrt(new))]
        last = segments[-1]
        return [*segments[:-1], TokenSegment(last.tokens + new, last.tau)]

    def grown_config(self, config: TokenformerConfig) -> TokenformerConfig:
        grown = {f"{projection}_tokens": self._grown_segments(config, projection) for projection in PROJECTIONS}
        return dataclasses.replace(config, **grown)

    def _new_rows(self, name: str, before: Any, after: Any) -> int:
        projection = projection_of(name)
        return 0 if projection is None else after.tokens(projection) - before.tokens(projection)

    def grown_parameter(
        self,
        name: str,
        old: torch.Tensor,
        before: TokenformerConfig,
        after: TokenformerConfig,
        context: GrowthContext,
    ) -> torch.Tensor:
        new = self._new_rows(name, before, after)
        if new == 0:
            return old
        rank, ranks = context.shard
        share = new // ranks
        is_zero = name.endswith("key_tokens") == (self.new_tokens == "zero_keys")
        if is_zero:
            rows = torch.zeros(share, old.shape[1])
        else:
            whole = torch.randn(new, old.shape[1], generator=_generator(context, name))
            rows = whole[rank * share : (rank + 1) * share] * context.root_mean_square(name)
        return torch.cat([old, rows.to(old)])

    def grown_moment(
        self, name: str, old: torch.Tensor, before: TokenformerConfig, after: TokenformerConfig
    ) -> torch.Tensor:
        """Old rows as they are, zero for the new ones."""
        new = self._new_rows(name, before, after)
        if new == 0:
            return old
        share = old.shape[0] * new // before.tokens(projection_of(name))
        return torch.cat([old, old.new_zeros(share, old.shape[1])])
