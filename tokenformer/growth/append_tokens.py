"""Growth by appending parameter tokens: the operator of the Tokenformer (arXiv:2410.23168, section 3.3).

What the new tokens are at birth decides whether the grown model computes what the old one did:

- `zero_values` (the default): random keys, zero values. The new tokens are a segment with a norm and a tau of their
  own, so the old segments do not notice them, and their own output is zero until their values learn. Keys have the
  root mean square of the old keys.
- `zero_keys`: zero keys, random values, in the norm of the last segment. A zero key adds nothing to the sum of squares,
  and tau is stored, so the function stays; gelu(0) = 0 keeps the new tokens silent until their keys learn.
- `clone`: each segment's tokens k times, with their values divided by k and tau times sqrt(k): sums of squares and tau
  squared both become k times the old ones, so every token keeps its weight, whatever theta and tau are. Noise that
  is added to one copy's values and taken from another's keeps the function too; without it copies stay copies for ever.

Both sides zero would never get a gradient, and is not offered. `zero_values` with `norm: shared` is not exact, because
random keys enter the sum of squares that the old tokens are divided by; it is offered for comparison.

Adam's moments of old rows stay as they are, and new ones begin at zero. Clones follow the law in `cloning`: a copy of
a key gets 1 / k of the old gradient and keeps its learning rate, a copy of a value gets the old gradient and 1 / k of
the learning rate, and a learned tau 1 / sqrt(k) of the gradient and sqrt(k) times the rate.
"""

import dataclasses
import math
from dataclasses import dataclass
from typing import Any

import torch

from tokenformer.config.keys import key
from tokenformer.errors import UserError
from tokenformer.growth.cloning import CloneRule, Part
from tokenformer.growth.operator import GrowthOperator, GrowthPlan, ParameterGrowth
from tokenformer.growth.parameter_name import ParameterName
from tokenformer.model.config import PROJECTIONS, LayerTokens, TokenformerConfig, TokenSegment, segments_of

KINDS = ("factor", "count", "to")  # of an amount


@dataclass(frozen=True)
class TokenAmount:
    """An amount by factor, by count, or to a size.

    Args:
        kind: "factor" (tokens after the event in multiples of those before), "count" (new tokens) or "to" (tokens
            after the event).
        value: a finite number; a whole one for "count" and "to".
    """

    kind: str
    value: float

    @classmethod
    def parse(cls, value: Any, where: str) -> "TokenAmount":
        """A plain number is a factor; otherwise a mapping of one kind to its value.

        Raises:
            UserError: neither, or a value that would shrink.
        """
        content = {"factor": value} if isinstance(value, int | float | str) and not isinstance(value, bool) else value
        if not isinstance(content, dict) or len(content) != 1 or next(iter(content)) not in KINDS:
            raise UserError(f"append_tokens: {where} is {value!r}; give a factor, or one of {', '.join(KINDS)}: number")
        ((kind, number),) = content.items()
        try:
            number = float(number)
        except (TypeError, ValueError):
            raise UserError(f"append_tokens: {where} is {value!r}; {kind} must be a number") from None
        if not math.isfinite(number) or number < (1 if kind == "factor" else 0):
            raise UserError(
                f"append_tokens: {kind} of {where} is {number:g}; growth needs a finite number and cannot shrink"
            )
        if kind != "factor" and number != int(number):
            raise UserError(f"append_tokens: {kind} of {where} is {number:g}; tokens are whole")
        return cls(kind, number)

    def new_tokens(self, present: int, where: str) -> int:
        """New tokens for a projection that has `present`.

        Raises:
            UserError: the size to grow to is smaller than the present one.
        """
        if self.kind == "count":
            return int(self.value)
        if self.kind == "factor":
            return round(present * self.value) - present
        if self.value < present:
            raise UserError(f"append_tokens: {where} has {present} tokens already and cannot shrink to {self.value:g}")
        return int(self.value) - present


@dataclass(frozen=True)
class AppendTokens(GrowthOperator):
    """Appends parameter tokens to every Pattention, or to those of some layers or projections."""

    factor: float | None = key(
        None, "tokens after an event, in multiples of those before; 2 when no amount is given", least=1
    )
    count: int | None = key(None, "number of new tokens of a projection, in place of factor", least=0)
    to: int | None = key(None, "number of tokens after the event, in place of factor", least=0)
    qkv: Any = key(
        None, "amount of query, key and value tokens alone: a factor, or {count: 64}; 1 leaves them as they are"
    )
    output: Any = key(None, "amount of output tokens alone")
    feed_forward: Any = key(None, "amount of feed-forward tokens alone")
    layers: list[int] | None = key(None, "indices of the layers that grow; null: all", least=0)
    new_tokens: str = key(
        "zero_values",
        "which half of a new token is zero; or copies",
        choices=("zero_values", "zero_keys", "clone"),
    )
    norm: str | None = key(
        None, "own norm, or that of the last segment; null: the one that is exact", choices=("own", "shared")
    )
    noise_db: float | None = key(0.0, "ratio of values to noise of clones in decibels; null: no noise")

    name = "append_tokens"
    model_types = ("tokenformer",)

    def __post_init__(self):
        super().__post_init__()
        if self.new_tokens == "zero_keys" and self.norm == "own":
            raise UserError("append_tokens: zero keys alone in a norm of their own have no direction; use norm: shared")
        if self.new_tokens == "clone" and self.norm is not None:
            raise UserError("append_tokens: clones share the norm of their originals; leave norm out or null")
        if sum(getattr(self, kind) is not None for kind in KINDS) > 1:
            raise UserError(f"append_tokens: give one of {', '.join(KINDS)}")
        for projection in PROJECTIONS:
            self.amount(projection)

    @property
    def own_norm(self) -> bool:
        return (self.norm or ("own" if self.new_tokens == "zero_values" else "shared")) == "own"

    def is_exact(self, config: TokenformerConfig) -> bool:
        """Tells whether a model of this config computes the same function after growth, to rounding.

        A norm of their own isolates new tokens, and clones keep all weights. In a shared norm zero keys leave the sums
        of squares as they are, but a tau that follows the number of tokens changes, and softmax gives a zero score
        weight.
        """
        if self.own_norm or self.new_tokens == "clone":
            return True
        return self.new_tokens == "zero_keys" and config.tau != "current" and config.theta != "softmax"

    def amount(self, projection: str) -> TokenAmount:
        """How much a projection grows by."""
        own = getattr(self, projection)
        if own is not None:
            return TokenAmount.parse(own, projection)
        given = {kind: getattr(self, kind) for kind in KINDS if getattr(self, kind) is not None}
        return TokenAmount.parse(given or {"factor": 2.0}, "the amount")

    def _grown(self, projection: str, tokens: Any, tau: str, layer: int | None = None) -> Any:
        """Grown segments of one projection, of a layer or of all, from its number of tokens or segments."""
        segments = segments_of(tokens)
        present = sum(segment.tokens for segment in segments)
        where = f"{projection}_tokens" if layer is None else f"{projection}_tokens of layer {layer}"
        new = self.amount(projection).new_tokens(present, where)
        if new == 0:
            return tokens
        if self.new_tokens == "clone":
            return self._cloned(where, tokens, present, new)
        if self.own_norm:
            return [*segments, TokenSegment(new, math.sqrt(new))]
        last = segments[-1]
        grown_tau = math.sqrt(last.tokens + new) if tau == "current" else last.tau
        return [*segments[:-1], TokenSegment(last.tokens + new, grown_tau)]

    @staticmethod
    def _cloned(where: str, tokens: Any, present: int, new: int) -> Any:
        if new % present:
            raise UserError(
                f"append_tokens: the {present} {where} cannot be cloned to {present + new}; the nearest sizes are "
                f"{present * (1 + new // present)} and {present * (2 + new // present)}"
            )
        copies = 1 + new // present
        if isinstance(tokens, int):
            return tokens * copies
        return [TokenSegment(part.tokens * copies, part.tau * math.sqrt(copies)) for part in tokens]

    def grown_config(self, config: TokenformerConfig) -> TokenformerConfig:
        if self.layers is not None:
            return self._grown_layers(config, sorted(set(self.layers)))

        def grown_fields(holder: Any, layer: int | None = None) -> dict[str, Any]:
            present = {projection: getattr(holder, f"{projection}_tokens") for projection in PROJECTIONS}
            return {
                f"{projection}_tokens": self._grown(projection, tokens, config.tau, layer)
                for projection, tokens in present.items()
                if tokens is not None and config.is_pattention(projection)
            }

        layers = [dataclasses.replace(own, **grown_fields(own, own.layer)) for own in config.layer_tokens]
        return dataclasses.replace(config, layer_tokens=layers, **grown_fields(config))

    def _grown_layers(self, config: TokenformerConfig, layers: list[int]) -> TokenformerConfig:
        """The config in which only these layers grow: they get tokens of their own."""
        wrong = [layer for layer in layers if layer >= config.num_hidden_layers]
        if wrong:
            raise UserError(
                f"append_tokens: layers names {wrong}, and the model has the layers 0 to {config.num_hidden_layers - 1}"
            )
        own = {tokens.layer: tokens for tokens in config.layer_tokens}
        for layer in layers:
            fields = {}
            for projection in filter(config.is_pattention, PROJECTIONS):
                key = f"{projection}_tokens"
                tokens = getattr(own.get(layer), key, None) or getattr(config, key)
                fields[key] = self._grown(projection, tokens, config.tau, layer)
            own[layer] = dataclasses.replace(own.get(layer, LayerTokens(layer)), **fields)
        return dataclasses.replace(config, layer_tokens=[own[layer] for layer in sorted(own)])

    def plan(self, before: TokenformerConfig, after: TokenformerConfig) -> GrowthPlan:
        def growth_of(name: ParameterName) -> ParameterGrowth:
            if name.projection is None:
                return ParameterGrowth((name.full,))
            if self.new_tokens == "clone":
                return self._cloned_parameter(name, before, after)
            return self._appended_rows(name, before, after)

        return growth_of

    def _appended_rows(
        self, name: ParameterName, before: TokenformerConfig, after: TokenformerConfig
    ) -> ParameterGrowth:
        """Old rows as they are, new ones below them, and zero for the moments of these."""
        present, total = sum(name.rows(before)), sum(name.rows(after))
        is_random = (name.kind == "key_tokens") != (self.new_tokens == "zero_keys")
        taus = [segment.tau for segment in after.segments(*name.pattention)]

        def with_zeros(old: torch.Tensor, **_: Any) -> torch.Tensor:
            return torch.cat([old, old.new_zeros(total - present, *old.shape[1:])])

        def with_taus(old: torch.Tensor, **_: Any) -> torch.Tensor:
            return torch.cat([old, old.new_tensor(taus[present:])])

        def with_random_rows(old: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
            scale = old.double().square().mean().sqrt().item()
            rows = torch.randn(total - present, old.shape[1], generator=generator) * scale
            return torch.cat([old, rows.to(old)])

        def is_new() -> torch.Tensor:
            rows = torch.arange(total) >= present
            return rows if name.kind == "tau" else rows[:, None]

        weight = with_taus if name.kind == "tau" else with_random_rows if is_random else with_zeros
        return ParameterGrowth((name.full,), weight, moment=with_zeros, new=is_new)

    def _cloned_parameter(
        self, name: ParameterName, before: TokenformerConfig, after: TokenformerConfig
    ) -> ParameterGrowth:
        """The tokens of every segment again and again, by the law of clones."""
        copies = after.tokens(*name.pattention) // before.tokens(*name.pattention)
        if copies == 1:
            return ParameterGrowth((name.full,))
        rows = name.rows(before)
        if name.kind == "tau":
            rule = CloneRule((Part(len(rows), 1),), scale=math.sqrt(copies))
        elif name.kind == "key_tokens":
            rule = CloneRule(tuple(Part(count, copies) for count in rows), before.hidden_size, noisy=False)
        else:
            width = before.hidden_size
            if name.module in ("key", "value"):
                width = before.key_value_heads * before.head_size
            rule = CloneRule(tuple(Part(count, 1) for count in rows), width, inputs=copies, rows_are_inputs=True)
        growth = rule.growth(name.full, noise_db=self.noise_db)
        if name.kind != "value_tokens" or self.noise_db is None:
            return growth

        def checked(old: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
            _check_values(name.full, old, rows)
            return growth.weight(old, generator=generator)

        return dataclasses.replace(growth, weight=checked)


def _check_values(name: str, values: torch.Tensor, rows: list[int]) -> None:
    """Noise is relative to the values of a segment [rows, d_out], so zero values would get none."""
    if not all(part.any() for part in values.split(rows)):
        raise UserError(
            f"append_tokens: a segment of {name} has only zero values, so that noise relative to them is zero and its "
            "clones would stay clones for ever; train between the two events, or set noise_db: null"
        )
