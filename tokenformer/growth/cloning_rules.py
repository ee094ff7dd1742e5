"""Which rule of cloning each parameter of a model follows.

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

import math
from dataclasses import dataclass
from typing import Any

from tokenformer.growth.cloning import CloneRule, Part
from tokenformer.growth.pattention_parameter import PattentionParameter
from tokenformer.model.config import TokenformerConfig


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


def _module(name: str) -> str:
    """The last module of a parameter's name that is not Nanotron's pipeline block."""
    return name.replace(".pp_block", "").split(".")[-2]


def _ends(config: Any, copies: Copies) -> dict[str, CloneRule]:
    """Embedding and head, which both models have."""
    vocabulary, hidden = config.vocab_size, config.hidden_size
    return {
        "token_embedding": CloneRule((Part(vocabulary, copies.hidden),), hidden, rows_are_inputs=True),
        "lm_head": CloneRule((Part(vocabulary, 1),), hidden, inputs=copies.hidden, noisy=False),
    }


def llama_rule(name: str, config: Any, copies: Copies) -> CloneRule:
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


def tokenformer_rule(name: str, config: TokenformerConfig, copies: Copies) -> CloneRule:
    """The rule of a parameter of the Tokenformer, in whatever layers it has."""
    parameter = PattentionParameter.from_name(name)
    if parameter is not None:
        return _pattention_rule(parameter, _module(name), config, copies)
    hidden, head = config.hidden_size, config.head_size
    stream, key_value = Part(hidden, copies.hidden), Part(config.num_key_value_heads * head, copies.key_value)
    rules = _ends(config, copies) | {
        "attention_norm": CloneRule((stream,)),
        "feed_forward_norm": CloneRule((stream,)),
        "final_norm": CloneRule((stream,), scale=copies.final_norm),
        "query": CloneRule((stream,), hidden, inputs=copies.hidden, noise_rows=head),
        "key": CloneRule((key_value,), hidden, inputs=copies.hidden, noise_rows=head),
        "value": CloneRule((key_value,), hidden, inputs=copies.hidden, noise_rows=head),
        "output": CloneRule((stream,), hidden, inputs=copies.hidden),
    }
    if config.feed_forward_layer == "swiglu":
        features = Part(config.swiglu_width, copies.feed_forward)
        rules |= {
            "gate": CloneRule((features,), hidden, inputs=copies.hidden),
            "up": CloneRule((features,), hidden, inputs=copies.hidden),
            "down": CloneRule((stream,), config.swiglu_width, inputs=copies.feed_forward),
        }
    return _chosen(rules, name)


def _pattention_rule(
    parameter: PattentionParameter, module: str, config: TokenformerConfig, copies: Copies
) -> CloneRule:
    segments = [segment.tokens for segment in config.segments(parameter.projection, parameter.layer)]
    tokens = copies.feed_forward if parameter.projection == "feed_forward" else 1
    if parameter.kind == "tau":
        return CloneRule((Part(len(segments), 1),), scale=math.sqrt(tokens))
    if parameter.kind == "key_tokens":
        return CloneRule(tuple(Part(rows, tokens) for rows in segments), config.hidden_size, inputs=copies.hidden)
    heads = config.num_key_value_heads if module in ("key", "value") else config.num_attention_heads
    outputs = copies.key_value if module in ("key", "value") else copies.hidden
    parts = tuple(Part(rows, outputs) for rows in segments)
    return CloneRule(parts, heads * config.head_size, inputs=tokens, rows_are_inputs=True)


def _chosen(rules: dict[str, CloneRule], name: str) -> CloneRule:
    module = _module(name)
    if module not in rules:
        raise ValueError(f"hypercloning knows no parameter {name}")
    return rules[module]
