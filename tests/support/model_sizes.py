"""The sizes of small Tokenformers."""


def tokenformer_sizes(
    hidden: int, layers: int, heads: int, tokens: tuple[int, int, int], vocabulary: int, positions: int
) -> dict[str, int]:
    """Keys of a config; `tokens` are those of the projections to query, key and value, of output and feed forward."""
    kinds = ("qkv_tokens", "output_tokens", "feed_forward_tokens")
    return {
        "hidden_size": hidden,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        **dict(zip(kinds, tokens, strict=True)),
        "vocab_size": vocabulary,
        "max_position_embeddings": positions,
    }
