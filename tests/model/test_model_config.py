"""TokenformerConfig: defaults, segments, and what it refuses."""

import dataclasses
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.cases import cases, refused
from tests.support.model_sizes import tokenformer_sizes
from tokenformer.errors import UserError
from tokenformer.model.config import PROJECTIONS, BaseSize, LayerTokens, TokenSegment, segments_of
from tokenformer.trainer.bridge.model_config import model_config_from

REQUIRED = {*tokenformer_sizes(8, 2, 2, (4, 4, 4), 16, 16)} - {"vocab_size"}


def test_a_plain_number_of_tokens_is_one_segment(tokenformer_config):
    config = tokenformer_config(qkv_tokens=9)
    assert config.segments("qkv") == [TokenSegment(9, 3.0)]
    assert config.tokens("qkv") == 9


def test_segments_keep_the_tau_that_is_stored(tokenformer_config):
    segments = [TokenSegment(9, 3.0), TokenSegment(7, 3.0), TokenSegment(4, 1.5)]
    config = tokenformer_config(output_tokens=segments)
    assert config.segments("output") == segments
    assert config.tokens("output") == 20
    assert segments_of(config.segments("output")) == segments


def test_layers_may_have_tokens_of_their_own(tokenformer_config):
    config = tokenformer_config(layer_tokens=[LayerTokens(1, qkv_tokens=16, output_tokens=[TokenSegment(5, 1.5)])])
    assert [config.tokens("qkv", layer) for layer in (0, 1)] == [10, 16]
    assert config.segments("qkv", 1) == [TokenSegment(16, 4.0)]
    assert config.segments("output", 1) == [TokenSegment(5, 1.5)]
    assert config.segments("feed_forward", 1) == config.segments("feed_forward", 0)


@given(heads=st.integers(1, 8), head_size=st.integers(1, 32), fraction=st.floats(0, 1))
def test_the_rotary_size_is_the_largest_even_number_within_the_fraction(tokenformer_config, heads, head_size, fraction):
    config = tokenformer_config(hidden_size=heads * head_size, num_attention_heads=heads, rotary_fraction=fraction)
    assert config.head_size == head_size
    assert config.rotary_size % 2 == 0
    assert config.rotary_size <= fraction * head_size < config.rotary_size + 2


def test_key_value_heads_default_to_the_heads(tokenformer_config):
    assert tokenformer_config().num_key_value_heads == 3
    assert tokenformer_config(num_key_value_heads=1).num_key_value_heads == 1


@refused(
    ({"hidden_size": 25}, ["hidden_size 25", "num_attention_heads 3"]),
    ({"num_key_value_heads": 2}, ["num_attention_heads 3", "num_key_value_heads 2"]),
    ({"block_norm": "batch_norm"}, ["block_norm is 'batch_norm'", "layer_norm, rms_norm"]),
    ({"final_norm": "none"}, ["final_norm is 'none'", "layer_norm, rms_norm"]),
    ({"gelu": "relu"}, ["gelu is 'relu'", "erf, tanh"]),
    ({"kernel": "fast"}, ["kernel is 'fast'", "auto, triton, torch, reference"]),
    ({"theta": "relu"}, ["theta is 'relu'", "l2_norm_gelu, gelu_l2_norm, softmax"]),
    ({"tau": 3.0}, ["tau is 3.0", "fixed, learned, current"]),
    ({"qkv_layer": "swiglu"}, ["qkv_layer is 'swiglu'", "pattention, linear"]),
    ({"output_layer": "swiglu"}, ["output_layer is 'swiglu'", "pattention, linear"]),
    ({"feed_forward_layer": "linear"}, ["feed_forward_layer is 'linear'", "pattention, swiglu"]),
    ({"feed_forward_layer": "swiglu"}, ["feed_forward_layer swiglu needs", "swiglu_width"]),
    ({"feed_forward_layer": "swiglu", "swiglu_width": -8}, ["swiglu_width"]),
    ({"initialization": "zero"}, ["initialization is 'zero'", "official, fan_in"]),
    ({"parametrization": "mup"}, ["parametrization is 'mup'", "standard, transfer"]),
    ({"base_size": BaseSize(qkv_tokens=0)}, ["base_size.qkv_tokens is 0", "1 or more"]),
    (
        {"parametrization": "transfer", "feed_forward_layer": "swiglu", "swiglu_width": 8},
        ["transfer with feed_forward_layer swiglu needs", "base_size.swiglu_width"],
    ),
    ({"document_mask": True}, ["document_mask needs", "eos_token_id"]),
    ({"layer_tokens": [LayerTokens(2, qkv_tokens=4)]}, ["layer_tokens", "[2]", "0 to 1"]),
    ({"layer_tokens": [LayerTokens(1), LayerTokens(1)]}, ["layer_tokens", "[1, 1]", "at most once"]),
    ({"layer_tokens": [LayerTokens(1, qkv_tokens=0)]}, ["qkv_tokens", "0 tokens"]),
    ({"pattention_eps": -1e-6}, ["pattention_eps is -1e-06", "0 or more"]),
    ({"pattention_eps": math.nan}, ["pattention_eps is nan", "0 or more"]),
    ({"rotary_fraction": -0.1}, ["rotary_fraction is -0.1", "0 or more and at most 1"]),
    ({"rotary_fraction": 1.1}, ["rotary_fraction is 1.1", "0 or more and at most 1"]),
    ({"qkv_tokens": 0}, ["qkv_tokens", "0 tokens", "above 0"]),
    ({"output_tokens": -4}, ["output_tokens", "-4 tokens", "above 0"]),
    ({"feed_forward_tokens": [TokenSegment(4, 2.0), TokenSegment(0, 2.0)]}, ["feed_forward_tokens", "0 tokens"]),
    ({"qkv_tokens": [TokenSegment(4, 0.0)]}, ["qkv_tokens", "tau 0.0"]),
    ({"qkv_tokens": [TokenSegment(4, math.nan)]}, ["qkv_tokens", "tau nan"]),
    ({"qkv_tokens": []}, ["qkv_tokens"]),
    ({"num_attention_heads": 0}, ["num_attention_heads is 0"]),
    ({"num_key_value_heads": 0}, ["num_key_value_heads is 0"]),
    ({"num_hidden_layers": 0}, ["num_hidden_layers is 0"]),
    ({"hidden_size": 0}, ["hidden_size is 0"]),
    ({"vocab_size": 0}, ["vocab_size is 0"]),
)
def test_what_cannot_be_built_is_refused(tokenformer_config, changes):
    tokenformer_config(**changes)


@pytest.fixture
def block(tokenformer_config):
    return {key: value for key, value in vars(tokenformer_config()).items() if key in {*REQUIRED, "vocab_size"}}


def test_a_block_of_a_yaml_becomes_a_config(block, tokenformer_config):
    block |= {"is_tokenformer_config": True, "rotary_fraction": 0.5, "norm_eps": "1e-5"}
    assert model_config_from(block, "tokenformer", "run.yaml") == tokenformer_config()


def test_a_grown_config_comes_back_from_its_mapping(tokenformer_config):
    grown = tokenformer_config(
        qkv_tokens=[TokenSegment(10, 3.5), TokenSegment(6, 2.0)], layer_tokens=[LayerTokens(1, output_tokens=7)]
    )
    assert model_config_from(dataclasses.asdict(grown), "tokenformer", "run.yaml") == grown
    assert all(grown.segments(projection) for projection in PROJECTIONS)


@pytest.mark.parametrize("key", sorted(REQUIRED))
def test_a_missing_key_is_named(block, key):
    del block[key]
    with pytest.raises(UserError, match=rf"run\.yaml: the key model\.model_config\.{key} is missing"):
        model_config_from(block, "tokenformer", "run.yaml")


@pytest.mark.parametrize(
    ("key", "value"), [("hidden_size", "wide"), ("qkv_tokens", "many"), ("qkv_tokens", 1.5), ("norm_eps", "small")]
)
def test_a_wrong_type_is_named(block, key, value):
    with pytest.raises(UserError, match=rf"run\.yaml: model\.model_config\.{key} is {value!r}"):
        model_config_from(block | {key: value}, "tokenformer", "run.yaml")


def test_a_value_that_is_refused_is_named_with_the_file(block):
    with pytest.raises(UserError, match=r"run\.yaml: model\.model_config\.gelu is 'relu'"):
        model_config_from(block | {"gelu": "relu"}, "tokenformer", "run.yaml")


def test_an_unknown_model_type_is_refused_with_the_choices(block):
    with pytest.raises(UserError, match=r"run\.yaml: model type 'gpt' is not known; choose one of tokenformer, llama"):
        model_config_from(block, "gpt", "run.yaml")


def test_llama_has_the_keys_of_nanotron():
    block = {"is_llama_config": True, "hidden_size": 64, "rms_norm_eps": "1e-6"}
    config = model_config_from(block, "llama", "run.yaml")
    assert (type(config).__name__, config.hidden_size, config.rms_norm_eps) == ("LlamaConfig", 64, 1e-6)
    with pytest.raises(UserError, match="hidden_sise is not known; did you mean hidden_size"):
        model_config_from({"hidden_sise": 64}, "llama", "run.yaml")


@cases(
    ({"hidden_size": 30, "num_attention_heads": 4}, ["hidden_size", "num_attention_heads"]),
    ({"num_attention_heads": 4, "num_key_value_heads": 3}, ["num_attention_heads", "num_key_value_heads"]),
    ({"num_attention_heads": 0}, ["num_attention_heads"]),
    ({"hidden_act": "square"}, ["hidden_act"]),
)
def test_a_llama_that_cannot_be_built_is_refused(changes, named):
    with pytest.raises(UserError) as caught:
        model_config_from({"is_llama_config": True, "hidden_size": 64} | changes, "llama", "run.yaml")
    assert [part for part in ["run.yaml", *named] if part not in str(caught.value)] == []
