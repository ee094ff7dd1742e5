"""HyperCloning: a model n times as wide that computes the same function (Samragh et al. 2024, arXiv:2409.12903).

The residual stream and the heads are copied n times, the features of the feed-forward layer u times; depth, the size
of a head and the vocabulary stay. `cloning` has the algebra of one layer. With a the factor of the weights and c that
of their gradients, a clone without noise learns exactly what its source would have learned if Adam's moments are
multiplied by c and c^2 and learning rates by a:

    parameter                                   a          c
    embedding                                   1          1 / n
    norms                                       1          1 / n
    query, output projection                    1 / n      1 / n
    key, value (a single key and value head)    1 / n      1 / n (1)
    gate, up                                    1 / n      1 / u
    down                                        1 / u      1 / n
    head of its own                             1 / n      1
    final norm, where the head is the embedding 1 / n      1
    key tokens                                  1 / n      1 (feed-forward: 1 / u)
    value tokens                                1          1 / n (a single key and value head: 1)
    value tokens of the feed-forward layer      1 / u      1 / n
    learned tau                                 1          1
    learned tau of the feed-forward layer       sqrt(u)    1 / sqrt(u)

A clone without noise also never becomes more than its source: equal copies get equal gradients for ever. So there is
noise by default. Below 0 dB it is louder than the weights, and from layer to layer amplifies the differences that
rounding makes between copies: in bf16 the function is lost after a few layers, in fp32 in deep models.

Where the head is the embedding, a copied embedding would give n times the logits. Either the final norm's scale and
shift are divided by n, which is exact and adds no parameters, or the head becomes a parameter of its own, as in the
authors' code. Then the moments of the one embedding cannot be told apart, and both begin anew.

Every copy of the residual stream, of a head and of a feed-forward feature has the value that the one had. RMSNorm and
LayerNorm keep it, because a repeated vector has the old mean and mean square. Heads are repeated whole, in the order
h1 .. hH, h1 .. hH; with key and value heads in the same order each group of queries finds its copy, and since no head
changes its size, rotary positions and the scale of attention stay. One key and value head serves all queries and is
not copied.

Pattention is two such layers with a function of the scores in between. Its tokens are copied (u times) only in a
feed-forward layer, segment by segment, so that each segment stays together. Then the sum of squares over a segment is
u times the old one, and a tau of sqrt(u) times the old one gives every score its old weight, in all three variants of
theta: tau / sqrt(sum S^2 + tau^2 eps) stays, and tau^2 softmax(S) too, as each of the u copies has a u-th of the
softmax.
"""

import dataclasses
import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tokenformer.config.keys import key
from tokenformer.errors import UserError
from tokenformer.growth.cloning import KINDS, CloneRule, Part
from tokenformer.growth.operator import GrowthOperator, GrowthPlan, ParameterGrowth, zero
from tokenformer.growth.parameter_name import ParameterName
from tokenformer.model.config import TokenformerConfig, TokenSegment

EMBEDDING = "model.token_position_embeddings.pp_block.token_embedding.weight"
HEAD = "model.lm_head.pp_block.weight"


@dataclass(frozen=True)
class Copies:
    """How many copies there will be.

    Args:
        hidden: of the residual stream and of the heads.
        key_value: of the key and value heads.
        feed_forward: of the feed-forward layer's features.
        final_norm: what the final norm's output is multiplied by, 1 / hidden where the head stays the embedding.
    """

    hidden: int
    key_value: int
    feed_forward: int
    final_norm: float


def _ends(config: Any, copies: Copies) -> dict[str, CloneRule]:
    """Embedding and head, which both models have."""
    vocabulary, hidden = config.vocab_size, config.hidden_size
    return {
        "token_embedding": CloneRule((Part(vocabulary, copies.hidden),), hidden, rows_are_inputs=True),
        "lm_head": CloneRule((Part(vocabulary, 1),), hidden, inputs=copies.hidden, noisy=False),
    }


def llama_rule(name: ParameterName, config: Any, copies: Copies) -> CloneRule:
    """The rule of a parameter of Nanotron's Llama, which fuses [query | key | value] and [gate | up] along the rows."""
    hidden, head = config.hidden_size, config.hidden_size // config.num_attention_heads
    width = config.intermediate_size
    stream, key_value = Part(hidden, copies.hidden), Part(config.num_key_value_heads * head, copies.key_value)
    features = Part(width, copies.feed_forward)
    rules = _ends(config, copies) | {
        "input_layernorm": CloneRule((stream,)),
        "post_attention_layernorm": CloneRule((stream,)),
        "final_layer_norm": CloneRule((stream,), scale=copies.final_norm),
        "qkv_proj": CloneRule((stream, key_value, key_value), hidden, inputs=copies.hidden, noise_rows=head),
        "o_proj": CloneRule((stream,), hidden, inputs=copies.hidden),
        "gate_up_proj": CloneRule((features, features), hidden, inputs=copies.hidden),
        "down_proj": CloneRule((stream,), width, inputs=copies.feed_forward),
    }
    return _chosen(rules, name)


def tokenformer_rule(name: ParameterName, config: TokenformerConfig, copies: Copies) -> CloneRule:
    """The rule of a parameter of the Tokenformer, in whatever layers it has."""
    if name.projection is not None:
        return _pattention_rule(name, config, copies)
    hidden, head = config.hidden_size, config.head_size
    stream, key_value = Part(hidden, copies.hidden), Part(config.key_value_heads * head, copies.key_value)
    rules = _ends(config, copies) | {
        "attention_norm": CloneRule((stream,)),
        "feed_forward_norm": CloneRule((stream,)),
        "final_norm": CloneRule((stream,), scale=copies.final_norm),
        "query": CloneRule((stream,), hidden, inputs=copies.hidden, noise_rows=head),
        "key": CloneRule((key_value,), hidden, inputs=copies.hidden, noise_rows=head),
        "value": CloneRule((key_value,), hidden, inputs=copies.hidden, noise_rows=head),
        "output": CloneRule((stream,), hidden, inputs=copies.hidden),
    }
    if config.feed_forward_layer == "swiglu" and config.swiglu_width:
        features = Part(config.swiglu_width, copies.feed_forward)
        rules |= {
            "gate": CloneRule((features,), hidden, inputs=copies.hidden),
            "up": CloneRule((features,), hidden, inputs=copies.hidden),
            "down": CloneRule((stream,), config.swiglu_width, inputs=copies.feed_forward),
        }
    return _chosen(rules, name)


def _pattention_rule(name: ParameterName, config: TokenformerConfig, copies: Copies) -> CloneRule:
    segments = [segment.tokens for segment in config.segments(*name.pattention)]
    tokens = copies.feed_forward if name.projection == "feed_forward" else 1
    if name.kind == "tau":
        return CloneRule((Part(len(segments), 1),), scale=math.sqrt(tokens))
    if name.kind == "key_tokens":
        return CloneRule(tuple(Part(rows, tokens) for rows in segments), config.hidden_size, inputs=copies.hidden)
    heads, outputs = config.num_attention_heads, copies.hidden
    if name.module in ("key", "value"):
        heads, outputs = config.key_value_heads, copies.key_value
    parts = tuple(Part(rows, outputs) for rows in segments)
    return CloneRule(parts, heads * config.head_size, inputs=tokens, rows_are_inputs=True)


def _chosen(rules: dict[str, CloneRule], name: ParameterName) -> CloneRule:
    if name.module not in rules:
        raise ValueError(f"hypercloning knows no parameter {name.full}")
    return rules[name.module]


RULES: dict[str, Callable[[ParameterName, Any, Copies], CloneRule]] = {
    "llama": llama_rule,
    "tokenformer": tokenformer_rule,
}


def _model_type(config: Any) -> str:
    """Model type by the mark that a Nanotron config carries, such as `is_llama_config`."""
    for model_type in RULES:
        if getattr(config, f"is_{model_type}_config", False):
            return model_type
    raise UserError(f"hypercloning is exact for {' and '.join(RULES)} only; {type(config).__name__} is another model")


@dataclass(frozen=True)
class HyperCloning(GrowthOperator):
    """Copies the width of a model."""

    width: int = key(2, "copies of the residual stream and of the heads", least=1)
    feed_forward: int | None = key(None, "copies of the feed-forward layer's features or tokens; null: width", least=1)
    noise_db: float | None = key(0.0, "ratio of weights to noise in decibels; null: no noise")
    kind: str = key("symmetric", "weights whose inputs and outputs are both copied", choices=KINDS)
    tied_embeddings: str = key(
        "final_norm", "what keeps the logits of tied embeddings", choices=("final_norm", "untie")
    )

    name = "hypercloning"

    def __post_init__(self):
        super().__post_init__()
        if self.width == self.feed_forward_copies == 1:
            raise UserError("hypercloning: width 1 and feed_forward 1 leave the model as it is; raise one of them")
        factors = {self.width, self.feed_forward_copies}
        if self.kind == "diagonal" and len(factors - {1}) > 1:
            raise UserError(
                f"hypercloning: a diagonal clone needs square blocks; width {self.width} and feed_forward "
                f"{self.feed_forward_copies} must be equal, or one of them 1"
            )

    @property
    def feed_forward_copies(self) -> int:
        return self.width if self.feed_forward is None else self.feed_forward

    def check_dtype(self, dtype: str) -> None:
        """Refuses noise below 0 dB for 16 bits, and warns of it for fp32."""
        if self.noise_db is None or self.noise_db >= 0 or dtype == "float64":
            return
        if dtype != "float32":
            raise UserError(
                f"hypercloning: noise_db {self.noise_db} makes noise louder than the weights, which {dtype} cannot "
                "carry; use 0 or more, or model.dtype float32"
            )
        warnings.warn(
            f"hypercloning: noise_db {self.noise_db} makes noise louder than the weights; rounding may move the loss "
            "of a deep model, so compare it before and after growth",
            stacklevel=2,
        )

    def is_exact(self, config: Any) -> bool:
        return True

    def grown_config(self, config: Any) -> Any:
        model_type, key_value_heads = _model_type(config), config.num_key_value_heads
        changes = {
            "hidden_size": config.hidden_size * self.width,
            "num_attention_heads": config.num_attention_heads * self.width,
            "num_key_value_heads": key_value_heads * self._copies(config).key_value,
            "tie_word_embeddings": config.tie_word_embeddings and self.tied_embeddings != "untie",
        }
        if model_type == "llama":
            changes["intermediate_size"] = config.intermediate_size * self.feed_forward_copies
        else:
            changes |= self._grown_tokens(config)
        return dataclasses.replace(config, **changes)

    def _grown_tokens(self, config: TokenformerConfig) -> dict[str, Any]:
        """The changes to a Tokenformer's feed-forward layers."""
        if config.feed_forward_layer == "swiglu" and config.swiglu_width:
            return {"swiglu_width": config.swiglu_width * self.feed_forward_copies}

        def copied(tokens: Any) -> Any:
            if tokens is None or isinstance(tokens, int):
                return tokens and tokens * self.feed_forward_copies
            scale = math.sqrt(self.feed_forward_copies)
            return [TokenSegment(part.tokens * self.feed_forward_copies, part.tau * scale) for part in tokens]

        layers = [
            dataclasses.replace(layer, feed_forward_tokens=copied(layer.feed_forward_tokens))
            for layer in config.layer_tokens
        ]
        return {"feed_forward_tokens": copied(config.feed_forward_tokens), "layer_tokens": layers}

    def _copies(self, config: Any) -> Copies:
        stays_tied = config.tie_word_embeddings and self.tied_embeddings == "final_norm"
        return Copies(
            hidden=self.width,
            key_value=1 if config.num_key_value_heads == 1 else self.width,
            feed_forward=self.feed_forward_copies,
            final_norm=1 / self.width if stays_tied else 1.0,
        )

    def rule(self, name: ParameterName, before: Any) -> CloneRule:
        """How a parameter of the grown model is cloned from its source.

        Raises:
            ValueError: neither model has a parameter of this name.
        """
        return RULES[_model_type(before)](name, before, self._copies(before))

    def plan(self, before: Any, after: Any) -> GrowthPlan:
        is_untied = before.tie_word_embeddings and not after.tie_word_embeddings

        def growth_of(name: ParameterName) -> ParameterGrowth:
            source = EMBEDDING if name.full == HEAD and before.tie_word_embeddings else name.full
            growth = self.rule(name, before).growth(source, self.kind, self.noise_db)
            if not is_untied or name.full not in (EMBEDDING, HEAD):
                return growth
            return dataclasses.replace(
                growth, moment=lambda *old, power: zero(growth.moment(*old, power=power)), new=True
            )

        return growth_of
