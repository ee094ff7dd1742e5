"""The `model_config` block of a YAML, for each model type, without torch."""

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, List, Optional, Union  # noqa: UP035 (Nanotron's parser, dacite, reads these annotations)

from tokenformer.config.keys import REQUIRED, check_value, key, key_of
from tokenformer.config.registry import Registry
from tokenformer.config.sections import marked_model_type
from tokenformer.errors import UserError

# ruff: noqa: UP006, UP007, UP045

PROJECTIONS = ("qkv", "output", "feed_forward")
VOCABULARY = "null: the vocabulary of the corpus; a number is at least that"
MOST_WIDTH = 2**20
MOST_HEADS = 2**16
MOST_LAYERS = 10_000
MOST_WORDS = 2**26
MOST_POSITIONS = 2**24
MOST_PARAMETER_TOKENS = 2**26


@dataclass
class TokenSegment:
    """Parameter tokens that are normalised together.

    Args:
        tokens: how many rows of keys and values.
        tau: the stored scale of their normalised scores; the square root of `tokens` at the segment's creation. It
            stays when zero keys are appended to the segment, which is what keeps the function.
    """

    tokens: int = key(REQUIRED, "rows of keys and of values", most=MOST_PARAMETER_TOKENS)
    tau: float = key(REQUIRED, "stored scale of the scores")


Tokens = Union[int, List[TokenSegment]]


def segments_of(tokens: Union[int, Sequence[TokenSegment]]) -> list[TokenSegment]:
    """A plain number of tokens is one segment with tau = sqrt(tokens)."""
    return [TokenSegment(tokens, math.sqrt(max(tokens, 0)))] if isinstance(tokens, int) else list(tokens)


@dataclass
class LayerTokens:
    """Parameter tokens of one layer that differ from those of the others; None is as in the others."""

    layer: int = key(REQUIRED, "its number, from 0", least=0, most=MOST_LAYERS)
    qkv_tokens: Optional[Tokens] = key(None, "null: as in the others", most=MOST_PARAMETER_TOKENS)
    output_tokens: Optional[Tokens] = key(None, "null: as in the others", most=MOST_PARAMETER_TOKENS)
    feed_forward_tokens: Optional[Tokens] = key(None, "null: as in the others", most=MOST_PARAMETER_TOKENS)


@dataclass
class BaseSize:
    """The size at which `parametrization: transfer` is the standard one; learning rates are read as those of it."""

    hidden_size: int = key(128, "width of the residual stream", least=1, most=MOST_WIDTH)
    qkv_tokens: int = key(64, "parameter tokens of query, key and value", least=1, most=MOST_PARAMETER_TOKENS)
    output_tokens: int = key(64, "parameter tokens of the output projection", least=1, most=MOST_PARAMETER_TOKENS)
    feed_forward_tokens: int = key(
        256, "parameter tokens of the feed-forward layer", least=1, most=MOST_PARAMETER_TOKENS
    )
    swiglu_width: Optional[int] = key(None, "width of the SwiGLU; null without one", least=1, most=MOST_WIDTH)

    def tokens(self, projection: str) -> int:
        """Parameter tokens of "qkv", "output" or "feed_forward"."""
        return getattr(self, f"{projection}_tokens")


@dataclass(kw_only=True)
class TokenformerConfig:
    """Architecture of a Tokenformer; Nanotron's and transformers' names where they exist.

    `qkv_tokens` is the number of parameter tokens of each of the query, key and value projections, `output_tokens` that
    of the attention's output projection and `feed_forward_tokens` that of the feed-forward layer. Each is a number, or
    after growth a list of `TokenSegment`; `layer_tokens` holds what single layers have instead.
    """

    is_tokenformer_config: bool = key(True, "the model type")  # as Nanotron's own `is_llama_config`
    vocab_size: Optional[int] = key(None, VOCABULARY, least=1, most=MOST_WORDS)
    max_position_embeddings: int = key(REQUIRED, "at least tokens.sequence_length", least=1, most=MOST_POSITIONS)
    hidden_size: int = key(REQUIRED, "width of the residual stream", least=1, most=MOST_WIDTH, also=("d_model",))
    num_hidden_layers: int = key(
        REQUIRED, "number of layers", least=1, most=MOST_LAYERS, also=("n_layers", "num_layers")
    )
    num_attention_heads: int = key(
        REQUIRED, "heads of hidden_size / num_attention_heads features", least=1, most=MOST_HEADS, also=("n_heads",)
    )
    num_key_value_heads: Optional[int] = key(
        None, "fewer than heads: grouped-query attention; null: as many", least=1, most=MOST_HEADS
    )
    qkv_tokens: Tokens = key(
        REQUIRED, "parameter tokens of each of the query, key and value projections", most=MOST_PARAMETER_TOKENS
    )
    output_tokens: Tokens = key(
        REQUIRED, "parameter tokens of the attention's output projection", most=MOST_PARAMETER_TOKENS
    )
    feed_forward_tokens: Tokens = key(
        REQUIRED, "parameter tokens of the feed-forward layer", most=MOST_PARAMETER_TOKENS
    )
    layer_tokens: List[LayerTokens] = key(
        [], "what single layers have instead, as in: - {layer: 0, feed_forward_tokens: 128}"
    )
    qkv_layer: str = key("pattention", "the query, key and value projections", choices=("pattention", "linear"))
    output_layer: str = key("pattention", "the attention's output projection", choices=("pattention", "linear"))
    feed_forward_layer: str = key("pattention", "the feed-forward layer", choices=("pattention", "swiglu"))
    swiglu_width: Optional[int] = key(None, "width of the SwiGLU; null without one", most=MOST_WIDTH)
    theta: str = key(
        "l2_norm_gelu", "what makes weights of scores", choices=("l2_norm_gelu", "gelu_l2_norm", "softmax")
    )
    gelu: str = key("erf", "exact (erf) or approximated (tanh) GELU", choices=("erf", "tanh"))
    tau: str = key(
        "fixed",
        "scale of the scores; current: by the number of tokens",
        choices=("fixed", "learned", "current"),
    )
    pattention_eps: float = key(
        1e-6, "mean-square eps of the score's norm; 0 is the official code's formula", least=0, most=1
    )
    block_norm: str = key("layer_norm", "norm before attention and feed-forward", choices=("layer_norm", "rms_norm"))
    block_norm_affine: bool = key(False, "true: these norms have a learned scale (and shift)")
    final_norm: str = key(
        "layer_norm", "norm before the head; its scale is always learned", choices=("layer_norm", "rms_norm")
    )
    norm_eps: float = key(1e-5, "eps of block_norm and final_norm", above=0, most=1)
    rope_theta: float = key(10000.0, "base of the rotary positions", least=1, most=1e12)
    rotary_fraction: float = key(0.25, "share of each head's features that carry the position", least=0, most=1)
    tie_word_embeddings: bool = key(True, "true: the head is the embedding")
    document_mask: bool = key(
        False, "true: no token attends to another document; eos_token_id ends one (0 in our corpora)"
    )
    initialization: str = key(
        "official", "fan_in: 1 / sqrt(inputs) for keys, 1 / sqrt(tokens) for values", choices=("official", "fan_in")
    )
    parametrization: str = key(
        "standard",
        "transfer: initial spread and learning rates follow the size",
        choices=("standard", "transfer"),
    )
    base_size: BaseSize = key(BaseSize(), "the size at which transfer is standard, and whose rate learning_rate is")
    kernel: str = key("auto", "auto: triton on a GPU, torch on a CPU", choices=("auto", "triton", "torch", "reference"))
    bos_token_id: Optional[int] = key(None, "the tokenizer's, for the record", least=0, most=MOST_WORDS)
    eos_token_id: Optional[int] = key(None, "ends a document; document_mask needs it", least=0, most=MOST_WORDS)
    pad_token_id: Optional[int] = key(None, "the tokenizer's, for the record", least=0, most=MOST_WORDS)

    def __post_init__(self):
        if self.num_key_value_heads is None:
            self.num_key_value_heads = self.num_attention_heads
        if self.layer_tokens is None:
            self.layer_tokens = []  # Nanotron writes an empty list or mapping as null
        if not isinstance(self.base_size, BaseSize):
            self.base_size = BaseSize(**(self.base_size or {}))  # as a checkpoint's record has it
        self._check_keys()
        _check_multiple(self, "hidden_size", "num_attention_heads")
        _check_multiple(self, "num_attention_heads", "num_key_value_heads")
        self._check_tokens()
        self._check_base_size()

    def _check_keys(self):
        for field in dataclasses.fields(self):
            check_value(getattr(self, field.name), key_of(field), f"model_config.{field.name}")
        if self.feed_forward_layer == "swiglu" and (self.swiglu_width or 0) < 1:
            raise UserError("model_config.feed_forward_layer swiglu needs a model_config.swiglu_width of 1 or more")
        if self.document_mask and self.eos_token_id is None:
            raise UserError("model_config.document_mask needs model_config.eos_token_id, which ends a document")

    def _check_base_size(self):
        for field in dataclasses.fields(self.base_size):
            where = f"model_config.base_size.{field.name}"
            check_value(getattr(self.base_size, field.name), key_of(field), where)
        is_swiglu = self.feed_forward_layer == "swiglu"
        if self.parametrization == "transfer" and is_swiglu and self.base_size.swiglu_width is None:
            raise UserError(
                "model_config.parametrization transfer with feed_forward_layer swiglu needs "
                "model_config.base_size.swiglu_width, the width at which the learning rate was chosen"
            )

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
    def vocabulary(self) -> int:
        """Rows of the embedding.

        Raises:
            ValueError: `vocab_size` is null, and no corpus has filled it in.
        """
        if self.vocab_size is None:
            raise ValueError("model_config.vocab_size is null until a corpus has filled it in")
        return self.vocab_size

    @property
    def key_value_heads(self) -> int:
        return self.num_key_value_heads or self.num_attention_heads

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


def _check_multiple(config: Any, name: str, divisor: str) -> None:
    if getattr(config, name) % getattr(config, divisor):
        raise UserError(
            f"model_config.{name} {getattr(config, name)} is not a multiple of {divisor} {getattr(config, divisor)}"
        )


@dataclass
class LlamaKeys:
    """Architecture of a Llama; the names and the defaults of Nanotron's `LlamaConfig`, which it becomes."""

    is_llama_config: bool = key(True, "the model type")
    vocab_size: Optional[int] = key(None, VOCABULARY, least=1, most=MOST_WORDS)
    max_position_embeddings: int = key(2048, "at least tokens.sequence_length", least=1, most=MOST_POSITIONS)
    hidden_size: int = key(4096, "width of the residual stream", least=1, most=MOST_WIDTH, also=("d_model",))
    num_hidden_layers: int = key(32, "number of layers", least=1, most=MOST_LAYERS, also=("n_layers", "num_layers"))
    num_attention_heads: int = key(
        32, "heads of hidden_size / num_attention_heads features", least=1, most=MOST_HEADS, also=("n_heads",)
    )
    num_key_value_heads: Optional[int] = key(
        None, "fewer than heads: grouped-query attention; null: as many", least=1, most=MOST_HEADS
    )
    intermediate_size: int = key(11008, "width of the SwiGLU feed-forward layer", least=1, most=MOST_WIDTH)
    hidden_act: str = key("silu", "its activation")
    rms_norm_eps: float = key(1e-6, "eps of every RMSNorm", above=0, most=1)
    rope_theta: float = key(10000.0, "base of the rotary frequencies", least=1, most=1e12)
    rope_scaling: Optional[dict] = key(
        None, "a key of Nanotron, which does not read it", choices=(), remedy="leave it out"
    )
    tie_word_embeddings: bool = key(False, "true: the head is the embedding")
    initializer_range: float = key(0.02, "a key of Nanotron, which reads model.init_method instead", least=0, most=1000)
    bos_token_id: int = key(1, "the tokenizer's, for the record", least=0, most=MOST_WORDS)
    eos_token_id: int = key(2, "the tokenizer's, for the record", least=0, most=MOST_WORDS)
    pad_token_id: Optional[int] = key(None, "the tokenizer's, for the record", least=0, most=MOST_WORDS)
    pretraining_tp: int = key(1, "a key of Nanotron, which does not read it", choices=(1,), remedy="leave it out")
    use_cache: bool = key(True, "a key of Nanotron, which does not read it", choices=(True,), remedy="leave it out")

    def __post_init__(self):
        if self.num_key_value_heads is None:
            self.num_key_value_heads = self.num_attention_heads
        _check_multiple(self, "hidden_size", "num_attention_heads")
        _check_multiple(self, "num_attention_heads", "num_key_value_heads")


MODEL_TYPES: Registry[type] = Registry(
    "model type", {"tokenformer": TokenformerConfig, "llama": LlamaKeys}, name_in=marked_model_type
)
"""Model type, as `model_config` marks it, -> its keys."""
