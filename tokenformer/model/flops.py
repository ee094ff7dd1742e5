"""Parameters and floating point operations of the models, by formula.

A matrix product of [a, b] and [b, c] is 2abc operations. A Pattention d_in -> d_out with n parameter tokens holds
n (d_in + d_out) parameters and costs 2 n (d_in + d_out) a token, exactly 2 a parameter, as a linear layer does. Token
embeddings are looked up at no cost; the head costs 2 d V whether it is tied or not. Attention between tokens costs
4 d T a token and layer at context length T when the whole square is computed; where the causal half is skipped, token t
attends to t positions, on average (T + 1) / 2, and 2 d (T + 1) are left. The whole square is counted by default, as
Megatron and the Tokenformer paper (arXiv:2410.23168, table 3) do. The backward pass costs twice the forward pass.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class ModelSize:
    """Parameters and cost of a model of some size.

    Args:
        parameters: all of them, a tied head counted once.
        non_embedding_parameters: those of the blocks and norms.
        block_matrix_parameters: those of all blocks that are multiplied with every token.
    """

    parameters: int
    non_embedding_parameters: int
    block_matrix_parameters: int
    hidden_size: int
    layers: int
    vocabulary_size: int

    def forward_flops_per_token(self, sequence_length: int, causal_half: bool = False) -> int:
        """Operations a token, on average over a sequence; `causal_half`: without those that the causal mask hides."""
        attended = 2 * (sequence_length + 1) if causal_half else 4 * sequence_length
        blocks = 2 * self.block_matrix_parameters + self.layers * self.hidden_size * attended
        return blocks + 2 * self.hidden_size * self.vocabulary_size

    def training_flops_per_token(self, sequence_length: int, causal_half: bool = False) -> int:
        return 3 * self.forward_flops_per_token(sequence_length, causal_half)


def _model_size(config, block_matrices: int, other_parameters: int) -> ModelSize:
    embedding = config.vocab_size * config.hidden_size
    return ModelSize(
        parameters=block_matrices + other_parameters + embedding * (1 if config.tie_word_embeddings else 2),
        non_embedding_parameters=block_matrices + other_parameters,
        block_matrix_parameters=block_matrices,
        hidden_size=config.hidden_size,
        layers=config.num_hidden_layers,
        vocabulary_size=config.vocab_size,
    )


def _norm_parameters(kind: str, hidden_size: int) -> int:
    return hidden_size * (2 if kind == "layer_norm" else 1)


def _tokenformer_block(config, layer: int) -> tuple[int, int]:
    """Matrix parameters of a block, and its learned tau."""
    hidden, key_value = config.hidden_size, config.num_key_value_heads * config.head_size
    features = {  # of each projection: inputs and outputs over its modules, and how many these are
        "qkv": (3 * hidden + hidden + 2 * key_value, 3),
        "output": (2 * hidden, 1),
        "feed_forward": (2 * hidden, 1),
    }
    linear = {
        "qkv": hidden * (hidden + 2 * key_value),
        "output": hidden * hidden,
        "feed_forward": 3 * hidden * (config.swiglu_width or 0),
    }
    matrices = taus = 0
    for projection, (width, modules) in features.items():
        if config.is_pattention(projection):
            matrices += config.tokens(projection, layer) * width
            taus += modules * len(config.segments(projection, layer))
        else:
            matrices += linear[projection]
    return matrices, taus if config.tau == "learned" else 0


def block_matrix_parameters(config) -> list[int]:
    """Parameters of each block of a `TokenformerConfig` that are multiplied with every token."""
    return [_tokenformer_block(config, layer)[0] for layer in range(config.num_hidden_layers)]


def tokenformer_size(config) -> ModelSize:
    """Size of a `TokenformerConfig`."""
    blocks = [_tokenformer_block(config, layer) for layer in range(config.num_hidden_layers)]
    block_norms = 2 * _norm_parameters(config.block_norm, config.hidden_size) if config.block_norm_affine else 0
    others = sum(taus for _, taus in blocks) + block_norms * config.num_hidden_layers
    others += _norm_parameters(config.final_norm, config.hidden_size)
    return _model_size(config, sum(matrices for matrices, _ in blocks), others)


def llama_size(config) -> ModelSize:
    """Size of Nanotron's `LlamaConfig`."""
    hidden, layers = config.hidden_size, config.num_hidden_layers
    key_value = config.num_key_value_heads * (hidden // config.num_attention_heads)
    matrices = hidden * (2 * hidden + 2 * key_value) + 3 * hidden * config.intermediate_size
    return _model_size(config, layers * matrices, layers * 2 * hidden + hidden)


SIZES = {"TokenformerConfig": tokenformer_size, "LlamaConfig": llama_size}


def model_size(config) -> ModelSize:
    """Size of a model from its config, whose class is a key of SIZES."""
    return SIZES[type(config).__name__](config)
