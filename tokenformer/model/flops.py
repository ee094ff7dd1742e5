"""Parameters and floating point operations of the models, by formula.

A matrix product of [a, b] and [b, c] is 2abc operations. A Pattention d_in -> d_out with n parameter tokens holds
n (d_in + d_out) parameters and costs 2 n (d_in + d_out) a token, exactly 2 a parameter, as a linear layer does. Token
embeddings are looked up at no cost; the head costs 2 d V whether it is tied or not. Attention between tokens costs
4 d T a token and layer at context length T when the whole square is computed, and half of that when the causal half is
skipped; the whole square is counted, as Megatron and the Tokenformer paper (arXiv:2410.23168, table 3) do. The backward
pass costs twice the forward pass.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class ModelSize:
    """What a model of this size holds and costs.

    Args:
        parameters: all of them, a tied head counted once.
        non_embedding_parameters: those of the blocks and norms.
        block_matrix_parameters: those of one block that are multiplied with every token.
    """

    parameters: int
    non_embedding_parameters: int
    block_matrix_parameters: int
    hidden_size: int
    layers: int
    vocabulary_size: int

    def forward_flops_per_token(self, sequence_length: int) -> int:
        blocks = self.layers * (2 * self.block_matrix_parameters + 4 * self.hidden_size * sequence_length)
        return blocks + 2 * self.hidden_size * self.vocabulary_size

    def training_flops_per_token(self, sequence_length: int) -> int:
        return 3 * self.forward_flops_per_token(sequence_length)


def _model_size(config, block_matrices: int, block_norms: int, final_norm: int) -> ModelSize:
    embedding = config.vocab_size * config.hidden_size
    blocks = config.num_hidden_layers * (block_matrices + block_norms) + final_norm
    return ModelSize(
        parameters=blocks + embedding * (1 if config.tie_word_embeddings else 2),
        non_embedding_parameters=blocks,
        block_matrix_parameters=block_matrices,
        hidden_size=config.hidden_size,
        layers=config.num_hidden_layers,
        vocabulary_size=config.vocab_size,
    )


def _norm_parameters(kind: str, hidden_size: int) -> int:
    return hidden_size * (2 if kind == "layer_norm" else 1)


def tokenformer_size(config) -> ModelSize:
    """Size of a `TokenformerConfig`."""
    hidden, key_value = config.hidden_size, config.num_key_value_heads * config.head_size
    matrices = (
        config.tokens("qkv") * (hidden + hidden)  # query
        + 2 * config.tokens("qkv") * (hidden + key_value)  # key and value
        + config.tokens("output") * (hidden + hidden)
        + config.tokens("feed_forward") * (hidden + hidden)
    )
    block_norms = 2 * _norm_parameters(config.block_norm, hidden) if config.block_norm_affine else 0
    return _model_size(config, matrices, block_norms, _norm_parameters(config.final_norm, hidden))


def llama_size(config) -> ModelSize:
    """Size of Nanotron's `LlamaConfig`."""
    hidden = config.hidden_size
    key_value = config.num_key_value_heads * (hidden // config.num_attention_heads)
    matrices = hidden * (2 * hidden + 2 * key_value) + 3 * hidden * config.intermediate_size
    return _model_size(config, matrices, 2 * hidden, hidden)


SIZES = {"TokenformerConfig": tokenformer_size, "LlamaConfig": llama_size}


def model_size(config) -> ModelSize:
    """Size of a model from its config, whose class is a key of SIZES."""
    return SIZES[type(config).__name__](config)
