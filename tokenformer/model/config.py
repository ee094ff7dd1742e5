"""The `model_config` block of a Tokenformer."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import List, Optional, Union  # noqa: UP035 (Nanotron's parser, dacite, reads these annotations)

from tokenformer.errors import UserError

PROJECTIONS = ("qkv", "output", "feed_forward")
NORMS = ("layer_norm", "rms_norm")


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


def segments_of(tokens: Union[int, Sequence[TokenSegment]]) -> list[TokenSegment]:  # noqa: UP007
    """A plain number of tokens is one segment with tau = sqrt(tokens)."""
    return [TokenSegment(tokens, math.sqrt(tokens))] if isinstance(tokens, int) else list(tokens)


@dataclass
class TokenformerConfig:
    """Architecture of a Tokenformer; Nanotron's and transformers' names where they exist.

    `qkv_tokens` is the number of parameter tokens of each of the query, key and value projections, `output_tokens` that
    of the attention's output projection and `feed_forward_tokens` that of the feed-forward layer. Each is a number, or
    after growth a list of `TokenSegment`.
    """

    hidden_size: int
    num_hidden_layers: int
    num_attention_heads: int
    qkv_tokens: Union[int, List[TokenSegment]]  # noqa: UP006, UP007
    output_tokens: Union[int, List[TokenSegment]]  # noqa: UP006, UP007
    feed_forward_tokens: Union[int, List[TokenSegment]]  # noqa: UP006, UP007
    vocab_size: int
    max_position_embeddings: int
    is_tokenformer_config: bool = True  # marks the model type, as Nanotron's own `is_llama_config` does
    num_key_value_heads: int | None = None
    tie_word_embeddings: bool = True
    gelu: str = "erf"
    pattention_eps: float = 1e-6
    block_norm: str = "layer_norm"
    block_norm_affine: bool = False
    final_norm: str = "layer_norm"
    norm_eps: float = 1e-5
    rope_theta: float = 10000.0
    rotary_fraction: float = 0.25
    kernel: str = "auto"
    bos_token_id: Optional[int] = None  # noqa: UP045
    eos_token_id: Optional[int] = None  # noqa: UP045
    pad_token_id: Optional[int] = None  # noqa: UP045

    def __post_init__(self):
        if self.num_key_value_heads is None:
            self.num_key_value_heads = self.num_attention_heads
        self._check_heads()
        self._check_tokens()
        for key in ("block_norm", "final_norm"):
            if getattr(self, key) not in NORMS:
                raise UserError(f"model_config.{key} is {getattr(self, key)!r}; choose one of {', '.join(NORMS)}")
        if self.gelu not in ("erf", "tanh"):
            raise UserError(f"model_config.gelu is {self.gelu!r}; choose one of erf, tanh")
        if self.pattention_eps < 0:
            raise UserError(f"model_config.pattention_eps is {self.pattention_eps}; it must be 0 or more")

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
        for projection in PROJECTIONS:
            for segment in self.segments(projection):
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

    def segments(self, projection: str) -> list[TokenSegment]:
        """The segments of "qkv", "output" or "feed_forward"."""
        return segments_of(getattr(self, f"{projection}_tokens"))

    def tokens(self, projection: str) -> int:
        """Parameter tokens of one Pattention of the projection, over all segments."""
        return sum(segment.tokens for segment in self.segments(projection))
