"""Nanotron's Llama and transformers': config and tensors there and back."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.support.cases import cases
from tokenformer.conversion.llama_format import LlamaFormat, halves_from_pairs, pairs_from_halves
from tokenformer.errors import UserError

sizes = st.integers(1, 5)
HUGGING_FACE = {
    "model_type": "llama",
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "vocab_size": 50,
}


@given(heads=sizes, half=sizes, width=sizes)
def test_the_orders_of_a_heads_features_are_inverse(heads, half, width):
    rows = torch.arange(heads * 2 * half * width).view(heads * 2 * half, width)
    halves = halves_from_pairs(rows, 2 * half)
    assert torch.equal(pairs_from_halves(halves, 2 * half), rows)
    for head in range(heads):
        own, start = halves[head * 2 * half :][: 2 * half], head * 2 * half
        assert torch.equal(own, torch.cat([rows[start : start + 2 * half : 2], rows[start + 1 : start + 2 * half : 2]]))


@cases(
    {"attention_bias": True},
    {"mlp_bias": True},
    {"head_dim": 16},
    {"rope_scaling": {"rope_type": "llama3", "factor": 8.0}},
    ids=lambda changes: next(iter(changes)),
)
def test_what_nanotrons_llama_lacks_is_refused(changes):
    with pytest.raises(UserError, match=next(iter(changes)).replace("rope_scaling", "rope_type")):
        LlamaFormat().model_block(HUGGING_FACE | changes)


@pytest.mark.parametrize(
    "base", [{"rope_theta": 500.0}, {"rope_parameters": {"rope_type": "default", "rope_theta": 500.0}}]
)
def test_the_rotary_base_is_read_in_both_spellings(base):
    assert LlamaFormat().model_block(HUGGING_FACE | base)["rope_theta"] == 500.0
