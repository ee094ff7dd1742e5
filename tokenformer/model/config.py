"""The `model_config` block of a Tokenformer."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import List, Optional, Union  # noqa: UP035 (Nanotron's parser, dacite, reads these annotations)

from tokenformer.errors import UserError
from tokenformer.kernels import BACKENDS
from tokenformer.kernels.reference import GELU_APPROXIMATIONS
from tokenformer.kernels.theta import VARIANTS

# ruff: noqa: UP006, UP007, UP045

PROJECTIONS = ("qkv", "output", "feed_forward")
CHOICES = {
    "theta": tuple(VARIANTS),
    "gelu": tuple(GELU_APPROXIMATIONS),
    "tau": ("fixed", "learned", "current"),
    "qkv_layer": ("pattention", "linear"),
    "output_layer": ("pattention", "linear"),
    "feed_forward_layer": ("pattention", "swiglu"),
    "block_norm": ("layer_norm", "rms_norm"),
    "final_norm": ("layer_norm", "rms_norm"),
    "initialization": ("official", "fan_in"),
    "kernel": ("auto", *BACKENDS),
}


@dataclass
class TokenSegment:
    """Parameter tokens that are normalised together.

    Args:
        tokens: how many rows of keys and values.
        tau: the stored scale of their normalised scores; the square root of `tokens` at the segment's creation. It
            stays when zero keys are appended to the segment, which is what keeps the function.
    """

    tokens: int
    tau: float


Tokens = Union[int, List[TokenSegment]]


def segments_of(tokens: Union[int, Sequence[TokenSegment]]) -> list[TokenSegment]:
    """A plain number of tokens is one segment with tau = sqrt(tokens)."""
    return [TokenSegment(tokens, math.sqrt(max(tokens, 0)))] if isinstance(tokens, int) else list(tokens)


@dataclass
class LayerTokens:
    """Parameter tokens of one layer that differ from those of the others; None is as in the others."""

    layer: int
    qkv_tokens: Optional[Tokens] = None
    output_tokens: Optional[Tokens] = None
    feed_forward_tokens: Optional[Tokens] = None


@dataclass
class TokenformerConfig:
    """Architecture of a Tokenformer; Nanotron's and transformers' names where they exist.

    `qkv_tokens` is the number of parameter tokens of each of the query, key and value projections, `output_tokens` that
    of the attention's output projection and `feed_forward_tokens` that of the feed-forward layer. Each is a number, or
    after growth a list of `TokenSegment`; `layer_tokens` holds what single layers have instead. What every field means
    stands in configs/tokenformer.yaml.
    """

    hidden_size: int
    num_hidden_layers: int
    num_attention_heads: int
    qkv_tokens: Tokens
    output_tokens: Tokens
    feed_forward_tokens: Tokens
    vocab_size: int
    max_position_embeddings: int
    is_tokenformer_config: bool = True  # marks the model type, as Nanotron's own `is_llama_config` does
    num_key_value_heads: Optional[int] = None
    tie_word_embeddings: bool = True
    layer_tokens: List[LayerTokens] = field(default_factory=list)
    qkv_layer: str = "pattention"
    output_layer: str = "pattention"
    feed_forward_layer: str = "pattention"
    swiglu_width: Optional[int] = None
    theta: str = "l2_norm_gelu"
    gelu: str = "erf"
    tau: str = "fixed"
    pattention_eps: float = 1e-6
    block_norm: str = "layer_norm"
    block_norm_affine: bool = False
    final_norm: str = "layer_norm"
    norm_eps: float = 1e-5
    rope_theta: float = 10000.0
    rotary_fraction: float = 0.25
    document_mask: bool = False
    initialization: str = "official"
    kernel: str = "auto"
    bos_token_id: Optional[int] = None
    eos_token_id: Optional[int] = None
    pad_token_id: Optional[int] = None

    def __post_init__(self):
        if self.num_key_value_heads is None:
            self.num_key_value_heads = self.num_attention_heads
        if self.layer_tokens is None:
            self.layer_tokens = []  # Nanotron writes an empty list or mapping as null
        self._check_choices()
        self._check_sizes()
        self._check_heads()
        self._check_tokens()

    def _check_choices(self):
        for key, choices in CHOICES.items():
            if getattr(self, key) not in choices:
                raise UserError(f"model_config.{key} is {getattr(self, key)!r}; choose one of {', '.join(choices)}")
        if not self.pattention_eps >= 0:
            raise UserError(f"model_config.pattention_eps is {self.pattention_eps}; it must be 0 or more")
        if self.feed_forward_layer == "swiglu" and (self.swiglu_width or 0) < 1:
            raise UserError("model_config.feed_forward_layer swiglu needs a model_config.swiglu_width of 1 or more")
        if self.document_mask and self.eos_token_id is None:
            raise UserError("model_config.document_mask needs model_config.eos_token_id, which ends a document")

    def _check_sizes(self):
        keys = ("hidden_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads", "vocab_size")
        for key in (*keys, "max_position_embeddings"):
            if getattr(self, key) < 1:
                raise UserError(f"model_config.{key} is {getattr(self, key)}; it must be 1 or more")

    def _check_heads(self):
        if self.hidden_size % self.num_attention_heads:
            raise UserError(
                f"model_config.hidden_size {self.hidden_size} is not a multiple of num_attention_heads "
                f"{self.num_attention_heads}"
            )
        if self.num_attention_heads % self.num_key_value_heads:
            raise UserError(
                f"model_config.num_attention_heads {self.num_attention_heads} is not a multiple of "
                f"num_key_value_heads {self.num_key_value_heads}"
            )
        if not 0 <= self.rotary_fraction <= 1:
            raise UserError(f"model_config.rotary_fraction is {self.rotary_fraction}; it must lie between 0 and 1")

    def _check_tokens(self):
        layers = [tokens.layer for tokens in self.layer_tokens]
        if len(set(layers)) < len(layers) or any(not 0 <= layer < self.num_hidden_layers for layer in layers):
            raise UserError(
                f"model_config.layer_tokens names the layers {layers}; each of 0 to {self.num_hidden_layers - 1} at "
                f"most once"
            )
        for layer in range(self.num_hidden_layers):
            for projection in PROJECTIONS:
                segments = self.segments(projection, layer)
                if not segments:
                    raise UserError(f"model_config.{projection}_tokens is an empty list; give a number of tokens")
                for segment in segments:
                    if segment.tokens < 1 or not segment.tau > 0:
                        raise UserError(
                            f"model_config.{projection}_tokens has a segment of {segment.tokens} tokens and tau "
                            f"{segment.tau}; both must be above 0"
                        )

    @property
    def head_size(self) -> int:
        return self.hidden_size // self.num_attention_heads

    @property
    def rotary_size(self) -> int:
        """Features of each head that carry the position: the largest even number within `rotary_fraction`."""
        return int(self.head_size * self.rotary_fraction) // 2 * 2

    def is_pattention(self, projection: str) -> bool:
        return getattr(self, f"{projection}_layer") == "pattention"

    def segments(self, projection: str, layer: int = 0) -> list[TokenSegment]:
        """The segments of "qkv", "output" or "feed_forward" in a layer."""
        for tokens in self.layer_tokens:
            own = getattr(tokens, f"{projection}_tokens")
            if tokens.layer == layer and own is not None:
                return segments_of(own)
        return segments_of(getattr(self, f"{projection}_tokens"))

    def tokens(self, projection: str, layer: int = 0) -> int:
        """Parameter tokens of one Pattention of the projection in a layer, over all segments."""
        return sum(segment.tokens for segment in self.segments(projection, layer))
