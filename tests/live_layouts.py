"""Which growth a test runs live, and in which layouts: what docs/growth.md says of it.

The keys are rows of `growth_table`, as "operator, setting, model".
"""

LIVE_LAYOUTS: dict[str, tuple[str, ...]] = {
    "append_tokens, zero_values, Tokenformer": (
        "one process",
        "dp 2, ZeRO-1",
        "dp 2, ZeRO-1, bf16",
        "tp 2, all-reduce",
        "tp 2, reduce-scatter",
        "pp 2",
        "dp 2 x tp 2, ZeRO-1",
        "tp 2 x pp 2",
        "dp 2 x pp 2",
    ),
    "append_tokens, zero_keys, Tokenformer": ("one process",),
    "hypercloning, tied_embeddings untie, Llama": ("dp 2, ZeRO-1, bf16", "tp 2, reduce-scatter", "tp 2 x pp 2"),
    "stack_layers, stack, Llama": ("dp 2, ZeRO-1, bf16", "tp 2, reduce-scatter", "tp 2 x pp 2"),
}
