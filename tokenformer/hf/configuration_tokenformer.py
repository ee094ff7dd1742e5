"""Config of a Tokenformer for transformers 4.51 to 5. A copy lies in every export, so it imports transformers alone."""

import math
from typing import Any

from transformers import PretrainedConfig


class TokenformerConfig(PretrainedConfig):
    """The fields of the `model_config` with which the model was trained, under the same names.

    Args:
        qkv_tokens, output_tokens, feed_forward_tokens: parameter tokens of a projection: a number, or of a grown model
            a list of segments `{"tokens": n, "tau": t}`, which are normalised apart.
        layer_tokens: what single layers have instead: `{"layer": i, "qkv_tokens": ..}`.
        theta: l2_norm_gelu, gelu_l2_norm or softmax.
        gelu: erf or tanh.
        tau: fixed and current are numbers of the segments, learned is a parameter.
        pattention_eps: mean-square eps in Pattention's norm.
        qkv_layer, output_layer, feed_forward_layer: pattention, or linear (swiglu for the last).
        rotary_fraction: share of each head's features that carry the position.
        document_mask: tokens attend within their document alone, which `eos_token_id` ends.
        initialization, parametrization, base_size, kernel: of training with tokenformer; they change nothing here.
    """

    model_type = "tokenformer"
    keys_to_ignore_at_inference = ["cache", "past_key_values"]

    def __init__(
        self,
        hidden_size: int = 256,
        num_hidden_layers: int = 4,
        num_attention_heads: int = 4,
        qkv_tokens: Any = 256,
        output_tokens: Any = 256,
        feed_forward_tokens: Any = 1024,
        vocab_size: int = 2048,
        max_position_embeddings: int = 128,
        num_key_value_heads: int | None = None,
        tie_word_embeddings: bool = True,
        layer_tokens: list[dict[str, Any]] | None = None,
        qkv_layer: str = "pattention",
        output_layer: str = "pattention",
        feed_forward_layer: str = "pattention",
        swiglu_width: int | None = None,
        theta: str = "l2_norm_gelu",
        gelu: str = "erf",
        tau: str = "fixed",
        pattention_eps: float = 1e-6,
        block_norm: str = "layer_norm",
        block_norm_affine: bool = False,
        final_norm: str = "layer_norm",
        norm_eps: float = 1e-5,
        rope_theta: float = 10000.0,
        rotary_fraction: float = 0.25,
        document_mask: bool = False,
        initialization: str = "official",
        parametrization: str = "standard",
        base_size: dict[str, Any] | None = None,
        kernel: str = "auto",
        initializer_range: float = 0.02,
        use_cache: bool = True,
        bos_token_id: int | None = None,
        eos_token_id: int | None = None,
        pad_token_id: int | None = None,
        **kwargs,
    ):
        self.hidden_size = hidden_size
        self.num_hidden_layers = num_hidden_layers
        self.num_attention_heads = num_attention_heads
        self.num_key_value_heads = num_attention_heads if num_key_value_heads is None else num_key_value_heads
        self.qkv_tokens, self.output_tokens, self.feed_forward_tokens = qkv_tokens, output_tokens, feed_forward_tokens
        self.layer_tokens = layer_tokens or []
        self.vocab_size = vocab_size
        self.max_position_embeddings = max_position_embeddings
        self.qkv_layer, self.output_layer, self.feed_forward_layer = qkv_layer, output_layer, feed_forward_layer
        self.swiglu_width = swiglu_width
        self.theta, self.gelu, self.tau = theta, gelu, tau
        self.pattention_eps = pattention_eps
        self.block_norm, self.block_norm_affine, self.final_norm = block_norm, block_norm_affine, final_norm
        self.norm_eps = norm_eps
        self.rope_theta, self.rotary_fraction = rope_theta, rotary_fraction
        self.document_mask = document_mask
        self.initialization, self.kernel = initialization, kernel
        self.parametrization, self.base_size = parametrization, base_size
        self.initializer_range = initializer_range
        self.use_cache = use_cache
        kwargs |= {
            "bos_token_id": bos_token_id,
            "eos_token_id": eos_token_id,
            "pad_token_id": pad_token_id,
            "tie_word_embeddings": tie_word_embeddings,
        }
        super().__init__(**kwargs)

    @property
    def head_dim(self) -> int:
        return self.hidden_size // self.num_attention_heads

    @property
    def rotary_size(self) -> int:
        """Features of each head that carry the position: the largest even number within `rotary_fraction`."""
        return int(self.head_dim * self.rotary_fraction) // 2 * 2

    def segments(self, projection: str, layer: int) -> list[tuple[int, float]]:
        """Tokens and tau of each segment of "qkv", "output" or "feed_forward" in a layer."""
        tokens = getattr(self, f"{projection}_tokens")
        for own in self.layer_tokens:
            if own["layer"] == layer and own.get(f"{projection}_tokens") is not None:
                tokens = own[f"{projection}_tokens"]
        if isinstance(tokens, int):
            return [(tokens, math.sqrt(tokens))]
        return [(segment["tokens"], segment["tau"]) for segment in tokens]
