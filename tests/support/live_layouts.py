"""Which growth a test runs live, and in which layouts: what docs/growth-measurements.md says of it.

The keys are rows of `growth_table`, as "operator, setting, model". The layouts of QUICK run in CI, all others in the
slow suite of trainer/test_growth_layouts.py, which holds both lists to what it runs.
"""

LAYOUTS = (
    "one process",
    "dp 2, ZeRO-1",
    "dp 2, ZeRO-1, bf16",
    "tp 2, all-reduce",
    "tp 2, reduce-scatter",
    "pp 2",
    "dp 2 x tp 2, ZeRO-1",
    "tp 2 x pp 2",
    "dp 2 x pp 2",
    "dp 2 x pp 2, ZeRO-1",
)
OF_LLAMA = ("dp 2, ZeRO-1, bf16", "tp 2, reduce-scatter", "tp 2 x pp 2")

QUICK: dict[str, tuple[str, ...]] = {
    "append_tokens, zero_values, Tokenformer": LAYOUTS[:-1],
    "hypercloning, tied_embeddings untie, Llama": OF_LLAMA,
    "stack_layers, stack, Llama": OF_LLAMA,
}

LIVE_LAYOUTS: dict[str, tuple[str, ...]] = dict.fromkeys(
    (
        *QUICK,
        "append_tokens, zero_keys, Tokenformer",
        "append_tokens, clone, Tokenformer",
        "hypercloning, symmetric, Tokenformer",
        "stack_layers, stack with zero_gated, Tokenformer",
    ),
    LAYOUTS,
)
