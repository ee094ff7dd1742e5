"""append_tokens on configs: what the grown model is, what it costs, and which settings are refused."""

import copy
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tokenformer.errors import UserError
from tokenformer.growth.append_tokens import AppendTokens, GrowingParameter
from tokenformer.model.config import PROJECTIONS, LayerTokens, TokenformerConfig, TokenSegment
from tokenformer.model.flops import tokenformer_size

EXACT = [{"new_tokens": "zero_values"}, {"new_tokens": "zero_keys"}]
factors = st.sampled_from([1.0, 1.25, 1.5, 2.0, 3.0])


def config_with(**changes) -> TokenformerConfig:
    tokens = {"qkv_tokens": 8, "output_tokens": 12, "feed_forward_tokens": 20}
    shape = {"hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2, "num_key_value_heads": 1}
    return TokenformerConfig(**{**tokens, **shape, "vocab_size": 32, "max_position_embeddings": 16, **changes})


CONFIG = config_with()


def test_a_norm_of_their_own_is_a_new_segment_with_a_tau_of_its_own():
    grown = AppendTokens(factor=2, output=1, feed_forward=1.5).grown_config(CONFIG)
    assert grown.segments("qkv") == [TokenSegment(8, math.sqrt(8))] * 2
    assert grown.segments("output") == [TokenSegment(12, math.sqrt(12))]
    assert grown.segments("feed_forward") == [TokenSegment(20, math.sqrt(20)), TokenSegment(10, math.sqrt(10))]


@pytest.mark.parametrize(("tau", "expected"), [("fixed", math.sqrt(8)), ("current", math.sqrt(24))])
def test_a_shared_norm_makes_the_last_segment_longer(tau, expected):
    own = AppendTokens(factor=2).grown_config(config_with(tau=tau))
    shared = AppendTokens(factor=2, new_tokens="zero_keys").grown_config(own)
    assert shared.segments("qkv") == [TokenSegment(8, math.sqrt(8)), TokenSegment(24, expected)]


def test_layers_with_tokens_of_their_own_grow_by_the_same_factor():
    config = config_with(layer_tokens=[LayerTokens(1, feed_forward_tokens=6)])
    grown = AppendTokens(factor=2).grown_config(config)
    assert [grown.tokens("feed_forward", layer) for layer in (0, 1)] == [40, 12]
    assert [grown.tokens("qkv", layer) for layer in (0, 1)] == [16, 16]
    assert grown.layer_tokens[0].qkv_tokens is None


def test_ordinary_layers_keep_their_size():
    config = config_with(output_layer="linear", feed_forward_layer="swiglu", swiglu_width=16)
    grown = AppendTokens(factor=2).grown_config(config)
    assert [grown.tokens(projection) for projection in PROJECTIONS] == [16, 12, 20]
    added = tokenformer_size(grown).parameters - tokenformer_size(config).parameters
    assert added == 2 * 8 * (3 * 8 + 8 + 4 + 4)


def test_the_old_config_stays_as_it_was():
    config = config_with(layer_tokens=[LayerTokens(1, feed_forward_tokens=6)])
    before = copy.deepcopy(config)
    once = AppendTokens().grown_config(config)
    kept = copy.deepcopy(once)
    for exact in EXACT:
        AppendTokens(**exact).grown_config(once)
    assert before == config and kept == once


@settings(deadline=None)
@given(qkv=factors, output=factors, feed_forward=st.sampled_from([1.25, 2.0]), exact=st.sampled_from(EXACT))
def test_parameters_and_flops_of_the_grown_config(qkv, output, feed_forward, exact):
    operator = AppendTokens(qkv=qkv, output=output, feed_forward=feed_forward, **exact)
    after = operator.grown_config(CONFIG)
    added = 0
    widths = {"qkv": 3 * 8 + 8 + 4 + 4, "output": 16, "feed_forward": 16}
    for projection, factor in zip(PROJECTIONS, (qkv, output, feed_forward), strict=True):
        assert after.tokens(projection) == round(CONFIG.tokens(projection) * factor)
        added += 2 * (after.tokens(projection) - CONFIG.tokens(projection)) * widths[projection]
    sizes = [tokenformer_size(config) for config in (CONFIG, after)]
    assert sizes[1].parameters - sizes[0].parameters == added > 0
    forward, training = (
        [getattr(size, f"{kind}_flops_per_token")(16) for size in sizes] for kind in ("forward", "training")
    )
    assert (forward[1] - forward[0], training[1] - training[0]) == (2 * added, 6 * added)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"new_tokens": "zero_both"}, "choose zero_values or zero_keys"),
        ({"new_tokens": "random"}, "choose zero_values or zero_keys"),
        ({"norm": "none"}, "choose own or shared"),
        ({"new_tokens": "zero_keys", "norm": "own"}, "use norm: shared"),
        ({"factor": 0.5}, "cannot shrink"),
        ({"factor": 1}, "or stand still"),
        ({"output": 0.99}, "cannot shrink"),
        ({"factor": -2}, "cannot shrink"),
        ({"factor": math.nan}, "factor"),
        ({"factor": math.inf}, "factor"),
    ],
)
def test_settings_that_lose_something_are_refused(parameters, message):
    with pytest.raises(UserError, match=message):
        AppendTokens(**parameters)


@pytest.mark.parametrize(
    ("operator", "config"),
    [
        (AppendTokens(factor=1.01), CONFIG),
        (AppendTokens(factor=1, feed_forward=2), config_with(feed_forward_layer="swiglu", swiglu_width=16)),
    ],
    ids=["a factor too small to add a token", "nothing that could grow"],
)
def test_an_event_that_would_add_nothing_is_refused(operator, config):
    with pytest.raises(UserError, match="append_tokens: .*stand still"):
        operator.grown_config(config)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("model.decoder.0.pp_block.attention.qkv.key.value_tokens", ("qkv", 0, "value_tokens")),
        ("model.decoder.3.pp_block.attention.qkv.value.key_tokens", ("qkv", 3, "key_tokens")),
        ("model.decoder.0.pp_block.attention.qkv.query.tau", ("qkv", 0, "tau")),
        ("model.decoder.11.pp_block.attention.output.key_tokens", ("output", 11, "key_tokens")),
        ("model.decoder.0.pp_block.feed_forward.pattention.value_tokens", ("feed_forward", 0, "value_tokens")),
        ("model.decoder.0.pp_block.attention.output.weight", None),
        ("model.decoder.0.pp_block.feed_forward.gate.weight", None),
        ("model.decoder.0.pp_block.attention_norm.weight", None),
        ("model.lm_head.pp_block.weight", None),
    ],
)
def test_a_parameter_is_known_by_its_name(name, expected):
    found = GrowingParameter.from_name(name)
    assert (found and (found.projection, found.layer, found.kind)) == expected
