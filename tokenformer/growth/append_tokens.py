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
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from tokenformer.errors import UserError
from tokenformer.growth.operator import GrowthContext
from tokenformer.model.config import PROJECTIONS, TokenformerConfig, TokenSegment, segments_of

_GROWING = re.compile(
    r"\.decoder\.(\d+)\..*\.(query|key|value|output|feed_forward)\b.*\.(key_tokens|value_tokens|tau)$"
)


@dataclass(frozen=True)
class GrowingParameter:
    """Which Pattention a parameter belongs to, read off its name.

    Args:
        projection: "qkv", "output" or "feed_forward".
        layer: index of the block.
        kind: "key_tokens", "value_tokens" or "tau".
    """

    projection: str
    layer: int
    kind: str

    @classmethod
    def from_name(cls, name: str) -> "GrowingParameter | None":
        """None for a parameter that no Pattention has."""
        match = _GROWING.search(name)
        if match is None:
            return None
        layer, module, kind = match.groups()
        return cls("qkv" if module in ("query", "key", "value") else module, int(layer), kind)


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
    model_types = ("tokenformer",)

    def __post_init__(self):
        if self.new_tokens not in ("zero_values", "zero_keys"):
            raise UserError(f"append_tokens: new_tokens is {self.new_tokens!r}; choose zero_values or zero_keys")
        if self.norm not in (None, "own", "shared"):
            raise UserError(f"append_tokens: norm is {self.norm!r}; choose own or shared")
        if self.new_tokens == "zero_keys" and self.norm == "own":
            raise UserError("append_tokens: zero keys alone in a norm of their own have no direction; use norm: shared")
        factors = [self.factor_of(projection) for projection in PROJECTIONS]
        if not all(math.isfinite(factor) for factor in factors):
            raise UserError(f"append_tokens: a factor must be a finite number; they are {factors}")
        if min(factors) < 1 or max(factors) == 1:
            raise UserError(f"append_tokens: growth cannot shrink or stand still; the factors are {factors}")

    @property
    def own_norm(self) -> bool:
        return (self.norm or ("own" if self.new_tokens == "zero_values" else "shared")) == "own"

    def is_exact(self, config: TokenformerConfig) -> bool:
        """Whether a model of this config computes the same function after growth, to rounding.

        A norm of their own isolates new tokens. In a shared one zero keys leave the sums of squares as they are, but a
        tau that follows the number of tokens changes, and softmax gives a zero score weight.
        """
        if self.own_norm:
            return True
        return self.new_tokens == "zero_keys" and config.tau != "current" and config.theta != "softmax"

    def factor_of(self, projection: str) -> float:
        own = getattr(self, projection)
        return self.factor if own is None else own

    def _grown(self, config: TokenformerConfig, projection: str, tokens: Any) -> Any:
        """Grown segments of one projection, from its number of tokens or segments."""
        segments = segments_of(tokens)
        present = sum(segment.tokens for segment in segments)
        new = round(present * self.factor_of(projection)) - present
        if new == 0 or not config.is_pattention(projection):
            return tokens
        if self.own_norm:
            return [*segments, TokenSegment(new, math.sqrt(new))]
        last = segments[-1]
        tau = math.sqrt(last.tokens + new) if config.tau == "current" else last.tau
        return [*segments[:-1], TokenSegment(last.tokens + new, tau)]

    def grown_config(self, config: TokenformerConfig) -> TokenformerConfig:
        def grown_fields(holder: Any) -> dict[str, Any]:
            present = {projection: getattr(holder, f"{projection}_tokens") for projection in PROJECTIONS}
            return {
                f"{projection}_tokens": self._grown(config, projection, tokens)
                for projection, tokens in present.items()
                if tokens is not None
            }

        layers = [dataclasses.replace(layer, **grown_fields(layer)) for layer in config.layer_tokens]
        grown = dataclasses.replace(config, layer_tokens=layers, **grown_fields(config))
        if grown == config:
            raise UserError("append_tokens: the model would stand still; raise the factors, or make a layer pattention")
        return grown

    def sources(self, name: str, before: TokenformerConfig, after: TokenformerConfig) -> tuple[str, ...]:
        return (name,)

    def grown_parameter(
        self,
        name: str,
        old: Mapping[str, torch.Tensor],
        before: TokenformerConfig,
        after: TokenformerConfig,
        context: GrowthContext,
    ) -> torch.Tensor:
        parameter, present = GrowingParameter.from_name(name), old[name]
        if parameter is None:
            return present
        if parameter.kind == "tau":
            segments = after.segments(parameter.projection, parameter.layer)[len(present) :]
            return torch.cat([present, present.new_tensor([segment.tau for segment in segments])])
        rows = torch.zeros(_new_rows(parameter, before, after), present.shape[1])
        if (parameter.kind == "key_tokens") != (self.new_tokens == "zero_keys"):
            scale = present.double().square().mean().sqrt().item()
            rows = torch.randn(rows.shape, generator=_generator(context, name)) * scale
        return torch.cat([present, rows.to(present)])

    def grown_moment(
        self,
        name: str,
        old: Mapping[str, torch.Tensor],
        power: int,
        before: TokenformerConfig,
        after: TokenformerConfig,
    ) -> torch.Tensor:
        """Old rows as they are, zero for the new ones."""
        parameter, present = GrowingParameter.from_name(name), old[name]
        if parameter is None:
            return present
        return torch.cat([present, present.new_zeros(_new_rows(parameter, before, after), *present.shape[1:])])

    def new_part(self, name: str, before: TokenformerConfig, after: TokenformerConfig) -> torch.Tensor:
        parameter = GrowingParameter.from_name(name)
        if parameter is None:
            return torch.tensor(False)
        new, present = _new_rows(parameter, before, after), _rows(parameter, before)
        rows = torch.arange(present + new) >= present
        return rows if parameter.kind == "tau" else rows[:, None]

    def learning_rate_factor(self, name: str, before: TokenformerConfig, after: TokenformerConfig) -> float:
        return 1.0


def _rows(parameter: GrowingParameter, config: TokenformerConfig) -> int:
    """Length of the first dimension."""
    segments = config.segments(parameter.projection, parameter.layer)
    return len(segments) if parameter.kind == "tau" else sum(segment.tokens for segment in segments)


def _new_rows(parameter: GrowingParameter, before: TokenformerConfig, after: TokenformerConfig) -> int:
    return _rows(parameter, after) - _rows(parameter, before)
