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
import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from tokenformer.errors import UserError
from tokenformer.growth.cloning import CloneRule, Part, clone, clone_moment, outside_first_copy
from tokenformer.growth.operator import GrowthContext
from tokenformer.growth.pattention_parameter import PattentionParameter
from tokenformer.growth.token_amount import KINDS, TokenAmount
from tokenformer.model.config import PROJECTIONS, LayerTokens, TokenformerConfig, TokenSegment, segments_of

NEW_TOKENS = ("zero_values", "zero_keys", "clone")


def _generator(context: GrowthContext, name: str) -> torch.Generator:
    digest = hashlib.sha256(f"{context.seed}:append_tokens:{context.stage}:{name}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "little") >> 1)


@dataclass(frozen=True)
class AppendTokens:
    """Appends parameter tokens to every Pattention, or to those of some layers or projections.

    Args:
        factor: how many times as many tokens a projection has after an event; 2 when no amount is given.
        count: how many tokens a projection gets, instead of `factor`.
        to: how many it has after the event, instead of `factor`.
        qkv, output, feed_forward: the amount of one projection alone: a factor, or a mapping such as {count: 64}; 1
            leaves it as it is.
        layers: indices of the layers that grow; None is all.
        new_tokens: "zero_values", "zero_keys" or "clone".
        norm: "own" or "shared"; None is the exact one for `new_tokens`.
        noise_db: for clones, ratio of values to noise in decibels; None is no noise.
    """

    factor: float | None = None
    count: int | None = None
    to: int | None = None
    qkv: Any = None
    output: Any = None
    feed_forward: Any = None
    layers: list[int] | None = None
    new_tokens: str = "zero_values"
    norm: str | None = None
    noise_db: float | None = 0.0

    name = "append_tokens"
    model_types = ("tokenformer",)

    def __post_init__(self):
        if self.new_tokens not in NEW_TOKENS:
            raise UserError(f"append_tokens: new_tokens is {self.new_tokens!r}; choose one of {', '.join(NEW_TOKENS)}")
        if self.norm not in (None, "own", "shared"):
            raise UserError(f"append_tokens: norm is {self.norm!r}; choose own or shared")
        if self.new_tokens == "zero_keys" and self.norm == "own":
            raise UserError("append_tokens: zero keys alone in a norm of their own have no direction; use norm: shared")
        if self.new_tokens == "clone" and self.norm is not None:
            raise UserError("append_tokens: clones share the norm of their originals; leave norm out or null")
        if self.noise_db is not None and not math.isfinite(self.noise_db):
            raise UserError(f"append_tokens: noise_db is {self.noise_db}; give decibels, or null for no noise")
        if sum(getattr(self, kind) is not None for kind in KINDS) > 1:
            raise UserError(f"append_tokens: give one of {', '.join(KINDS)}")
        for projection in PROJECTIONS:
            self.amount(projection)

    @property
    def own_norm(self) -> bool:
        return (self.norm or ("own" if self.new_tokens == "zero_values" else "shared")) == "own"

    def check_dtype(self, dtype: str) -> None:
        """Any will do: what copies add and take away cancels within one layer."""

    def is_exact(self, config: TokenformerConfig) -> bool:
        """Whether a model of this config computes the same function after growth, to rounding.

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
            return self._grown_layers(config)

        def grown_fields(holder: Any, layer: int | None = None) -> dict[str, Any]:
            present = {projection: getattr(holder, f"{projection}_tokens") for projection in PROJECTIONS}
            return {
                f"{projection}_tokens": self._grown(projection, tokens, config.tau, layer)
                for projection, tokens in present.items()
                if tokens is not None and config.is_pattention(projection)
            }

        layers = [dataclasses.replace(own, **grown_fields(own, own.layer)) for own in config.layer_tokens]
        return dataclasses.replace(config, layer_tokens=layers, **grown_fields(config))

    def _grown_layers(self, config: TokenformerConfig) -> TokenformerConfig:
        """Only `layers` grow: they get tokens of their own."""
        wrong = [layer for layer in self.layers if not 0 <= layer < config.num_hidden_layers]
        if wrong:
            raise UserError(
                f"append_tokens: layers names {wrong}, and the model has the layers 0 to {config.num_hidden_layers - 1}"
            )
        own = {tokens.layer: tokens for tokens in config.layer_tokens}
        for layer in sorted(set(self.layers)):
            fields = {}
            for projection in filter(config.is_pattention, PROJECTIONS):
                key = f"{projection}_tokens"
                tokens = getattr(own.get(layer), key, None) or getattr(config, key)
                fields[key] = self._grown(projection, tokens, config.tau, layer)
            own[layer] = dataclasses.replace(own.get(layer, LayerTokens(layer)), **fields)
        return dataclasses.replace(config, layer_tokens=[own[layer] for layer in sorted(own)])

    def _clone_rule(self, name: str, before: TokenformerConfig, after: TokenformerConfig) -> CloneRule | None:
        """The rule by which a parameter is cloned; None when it is not."""
        parameter = PattentionParameter.from_name(name)
        if parameter is None or self.new_tokens != "clone":
            return None
        where = parameter.projection, parameter.layer
        copies = after.tokens(*where) // before.tokens(*where)
        if copies == 1:
            return None
        rows = parameter.rows(before)
        if parameter.kind == "tau":
            return CloneRule((Part(len(rows), 1),), scale=math.sqrt(copies))
        if parameter.kind == "key_tokens":
            return CloneRule(tuple(Part(count, copies) for count in rows), before.hidden_size, noisy=False)
        width = before.hidden_size
        if ".qkv.key." in name or ".qkv.value." in name:
            width = before.num_key_value_heads * before.head_size
        return CloneRule(tuple(Part(count, 1) for count in rows), width, inputs=copies, rows_are_inputs=True)

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
        parameter, present = PattentionParameter.from_name(name), old[name]
        rule = self._clone_rule(name, before, after)
        if rule is not None:
            if parameter.kind == "value_tokens" and self.noise_db is not None:
                _check_values(name, present, parameter.rows(before))
            return clone(present, rule, noise_db=self.noise_db, generator=_generator(context, name))
        if parameter is None or self.new_tokens == "clone":
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
        """Old rows as they are and zero for the new ones, or the law of clones."""
        parameter, present = PattentionParameter.from_name(name), old[name]
        rule = self._clone_rule(name, before, after)
        if rule is not None:
            return clone_moment(present, rule, power)
        if parameter is None:
            return present
        return torch.cat([present, present.new_zeros(_new_rows(parameter, before, after), *present.shape[1:])])

    def new_part(self, name: str, before: TokenformerConfig, after: TokenformerConfig) -> torch.Tensor:
        parameter, rule = PattentionParameter.from_name(name), self._clone_rule(name, before, after)
        if rule is not None:
            return outside_first_copy(rule)
        if parameter is None:
            return torch.tensor(False)
        present = sum(parameter.rows(before))
        rows = torch.arange(present + _new_rows(parameter, before, after)) >= present
        return rows if parameter.kind == "tau" else rows[:, None]

    def learning_rate_factor(self, name: str, before: TokenformerConfig, after: TokenformerConfig) -> float:
        rule = self._clone_rule(name, before, after)
        return 1.0 if rule is None else rule.learning_rate_factor


def _new_rows(parameter: PattentionParameter, before: TokenformerConfig, after: TokenformerConfig) -> int:
    return sum(parameter.rows(after)) - sum(parameter.rows(before))


def _check_values(name: str, values: torch.Tensor, rows: list[int]) -> None:
    """Noise is relative to the values of a segment [rows, d_out], so zero values would get none."""
    if not all(part.any() for part in values.split(rows)):
        raise UserError(
            f"append_tokens: a segment of {name} has only zero values, so that noise relative to them is zero and its "
            "clones would stay clones for ever; train between the two events, or set noise_db: null"
        )
