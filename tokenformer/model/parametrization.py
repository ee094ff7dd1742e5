"""Initial spread and learning rate of every parameter by the size of the model (`model_config.parametrization`).

`standard` gives all parameters one learning rate and the spread of `initialization`. Then a layer moves faster the
more parameter tokens and features it sums over, and no one rate suits all parameters of a larger model. `transfer` is
the maximal update parametrization (Yang et al. 2022, arXiv:2203.03466) with parameter tokens as a second width: one
step of Adam changes every activation by an amount that depends on neither. Spread and rate are those of `standard` at
a base size, times these factors. There n is the number of parameter tokens of a projection, in all of its segments, d
the hidden size, w the width of a SwiGLU; n0, d0 and w0 are those of `model_config.base_size`, and

    s(n, d) = sqrt(d / n) / (sqrt(n) + sqrt(d))

is the spread with which a random matrix [n, d] has the spectral norm sqrt(d / n) (Yang, Simon and Bernstein 2023,
arXiv:2310.17813).

    parameter                                spread or value            learning rate
    key tokens                               sqrt(d0 / d)               d0 / d
    value tokens                             s(n, d) / s(n0, d0)        n0 / n
    learned tau                              the stored tau             root mean square of the stored tau / sqrt(n0)
    linear query, key, value, output         sqrt(d0 / d)               d0 / d
    gate, up                                 sqrt(d0 / d)               d0 / d
    down                                     s(w, d) / s(w0, d0)        w0 / w
    head of its own                          d0 / d                     d0 / d
    final norm, where the head is tied       d0 / d                     d0 / d
    embedding, the other norms               1                          1

Weight decay is divided by the factor of the rate, so that their product, the share of a weight that a step of AdamW
takes away, is the same at every size. Growth by clones follows the same law: `hypercloning` and `append_tokens` with
clones multiply rates by what these factors change by. docs/parametrization.md derives the table.
"""

import math
import re
from dataclasses import dataclass
from typing import Any

from tokenformer.model.config import TokenformerConfig

_LAYER = re.compile(r"\.decoder\.(\d+)\.")
LINEAR = ("query", "key", "value", "output", "gate", "up")


@dataclass(frozen=True)
class Scale:
    """How one parameter differs from that of a model of the base size, as factors.

    Args:
        initial: of the standard deviation it is drawn with, or of the value it starts at.
        learning_rate: of its learning rate; weight decay is divided by it.
    """

    initial: float = 1.0
    learning_rate: float = 1.0


def follows_size(model_config: Any) -> bool:
    """True for a model, of any type, whose learning rates follow its size."""
    return getattr(model_config, "parametrization", "standard") == "transfer"


def spectral_spread(inputs: int, outputs: int) -> float:
    """The standard deviation with which a random matrix [inputs, outputs] has the spectral norm sqrt(outputs / inputs),
    so that inputs and outputs of root mean square 1 go together."""
    return math.sqrt(outputs / inputs) / (math.sqrt(inputs) + math.sqrt(outputs))


def _summed(count: int, base_count: int, config: TokenformerConfig) -> Scale:
    """The factors of a matrix that sums over `count` tokens or features and writes to the width of the model."""
    spread = spectral_spread(count, config.hidden_size)
    base_spread = spectral_spread(base_count, config.base_size.hidden_size)
    return Scale(spread / base_spread, base_count / count)


def projection_of(name: str) -> str:
    """The projection of a parameter inside a block: "qkv", "output" or "feed_forward"."""
    module = name.split(".")[-2]
    return "qkv" if module in ("query", "key", "value") else "output" if module == "output" else "feed_forward"


def scale_of(name: str, config: TokenformerConfig) -> Scale:
    """The factors of a parameter of the model, by its name in any layout; tied parameters have the embedding's."""
    if not follows_size(config):
        return Scale()
    base, layer = config.base_size, _LAYER.search(name)
    *_, module, kind = name.replace(".pp_block", "").split(".")
    width = base.hidden_size / config.hidden_size
    if layer is None:
        follows_width = module == "lm_head" or (module == "final_norm" and config.tie_word_embeddings)
        return Scale(width, width) if follows_width else Scale()
    projection = projection_of(name)
    if kind == "key_tokens" or (kind == "weight" and module in LINEAR):
        return Scale(math.sqrt(width), width)
    if kind == "value_tokens":
        return _summed(config.tokens(projection, int(layer[1])), base.tokens(projection), config)
    if kind == "tau":
        segments = config.segments(projection, int(layer[1]))
        mean_square = sum(segment.tau**2 for segment in segments) / len(segments)
        return Scale(1.0, math.sqrt(mean_square) / math.sqrt(base.tokens(projection)))
    if module == "down" and config.swiglu_width and base.swiglu_width:
        return _summed(config.swiglu_width, base.swiglu_width, config)
    return Scale()
