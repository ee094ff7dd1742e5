"""append_tokens on configs: what the grown model is, what it costs, and which settings are refused."""

import copy
import math

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tests.support.cases import cases, refused
from tests.support.growth.plain_models import few_tokens_config as config_with
from tokenformer.config.added_sections import Growth
from tokenformer.errors import UserError
from tokenformer.growth.append_tokens import AppendTokens
from tokenformer.growth.operator import Transition
from tokenformer.growth.parameter_name import ParameterName
from tokenformer.growth.policy import growth_policy
from tokenformer.model.config import PROJECTIONS, LayerTokens, TokenSegment
from tokenformer.model.flops import tokenformer_size

EXACT = [{"new_tokens": "zero_values"}, {"new_tokens": "zero_keys"}]
factors = st.sampled_from([1.0, 1.25, 1.5, 2.0, 3.0])


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


@refused(
    ({"new_tokens": "zero_both"}, "choose one of zero_values, zero_keys, clone"),
    ({"new_tokens": "random"}, "choose one of zero_values, zero_keys, clone"),
    ({"norm": "none"}, "choose one of own, shared"),
    ({"new_tokens": "zero_keys", "norm": "own"}, "use norm: shared"),
    ({"factor": 0.5}, "factor is 0.5; it must be 1 or more"),
    ({"count": -1}, "count is -1; it must be 0 or more"),
    ({"count": 8, "to": 16}, "give one of factor, count, to"),
    ({"to": 1.5}, "to is 1.5; it must be of type int"),
    ({"output": {"to": 1.5}}, "tokens are whole"),
    ({"qkv": True}, "qkv is True; give a factor"),
    ({"qkv": {"times": 2}}, "qkv is .*give a factor, or one of"),
    ({"feed_forward": {"count": "many"}}, "feed_forward is .*must be a number"),
    ({"new_tokens": "clone", "norm": "own"}, "leave norm out"),
    ({"noise_db": math.inf}, "noise_db"),
    ({"output": 0.99}, "cannot shrink"),
    ({"factor": -2}, "factor is -2.0; it must be 1 or more"),
    ({"factor": math.nan}, "factor"),
    ({"factor": math.inf}, "factor"),
)
def test_settings_that_lose_something_are_refused(parameters):
    AppendTokens(**parameters)


@cases(
    (AppendTokens(factor=1.01), CONFIG),
    (AppendTokens(count=0), CONFIG),
    (AppendTokens(factor=1, new_tokens="clone"), CONFIG),
    (AppendTokens(factor=1, feed_forward=2), config_with(feed_forward_layer="swiglu", swiglu_width=16)),
    ids=["a factor too small to add a token", "no tokens", "one copy", "nothing that could grow"],
)
def test_growing_by_nothing_is_refused(operator, config):
    with pytest.raises(UserError, match="append_tokens would leave the model as it is"):
        Transition.by(operator, config)


def test_amounts_are_given_by_factor_by_count_and_to_a_size():
    operator = AppendTokens(count=8, output={"to": 20}, feed_forward={"factor": 1.5})
    grown = operator.grown_config(CONFIG)
    assert [grown.tokens(projection) for projection in PROJECTIONS] == [16, 20, 30]
    with pytest.raises(UserError, match="qkv_tokens has 8 tokens already and cannot shrink to 6"):
        AppendTokens(to=6).grown_config(CONFIG)


def test_amounts_come_from_yaml():
    section = yaml.safe_load(
        "{name: append_tokens, to: 64, qkv: '1e0', output: {count: 4}, feed_forward: 3, layers: [0, 1], noise_db: null}"
    )
    policy = growth_policy(
        Growth({"name": "schedule", "steps": [1]}, {"tokenformer": section}), "tokenformer", "a.yaml"
    )
    grown = policy.operator_of(1).grown_config(CONFIG)
    assert [[grown.tokens(projection, layer) for projection in PROJECTIONS] for layer in (0, 1)] == [[8, 16, 60]] * 2
    assert policy.operator_of(1).noise_db is None


def test_a_layer_that_cannot_grow_is_named():
    config = config_with(layer_tokens=[LayerTokens(1, output_tokens=30)])
    with pytest.raises(UserError, match="output_tokens of layer 1 has 30 tokens already and cannot shrink to 24"):
        AppendTokens(to=24).grown_config(config)
    with pytest.raises(UserError, match="the 30 output_tokens of layer 1 cannot be cloned to 36; .* 30 and 60"):
        AppendTokens(output={"to": 36}, new_tokens="clone", layers=[0, 1]).grown_config(config)


def test_chosen_layers_grow_alone():
    config = config_with(layer_tokens=[LayerTokens(1, feed_forward_tokens=6)])
    grown = AppendTokens(factor=2, qkv=1, layers=[1]).grown_config(config)
    assert [[grown.tokens(projection, layer) for projection in PROJECTIONS] for layer in (0, 1)] == [
        [8, 12, 20],
        [8, 24, 12],
    ]
    with pytest.raises(UserError, match="layers names .2.*0 to 1"):
        AppendTokens(layers=[0, 2]).grown_config(config)


def test_clones_multiply_every_segment():
    config = AppendTokens(factor=2).grown_config(CONFIG)
    grown = AppendTokens(factor=3, new_tokens="clone").grown_config(config)
    assert grown.segments("qkv") == [TokenSegment(24, pytest.approx(math.sqrt(24)))] * 2
    assert AppendTokens(to=16, new_tokens="clone", output=1, feed_forward=1).grown_config(CONFIG).qkv_tokens == 16
    with pytest.raises(UserError, match="the 8 qkv_tokens cannot be cloned to 12; the nearest sizes are 8 and 16"):
        AppendTokens(qkv=1.5, new_tokens="clone").grown_config(CONFIG)


@cases(
    ("model.decoder.0.pp_block.attention.qkv.key.value_tokens", ("qkv", 0, "value_tokens")),
    ("model.decoder.3.pp_block.attention.qkv.value.key_tokens", ("qkv", 3, "key_tokens")),
    ("model.decoder.0.pp_block.attention.qkv.query.tau", ("qkv", 0, "tau")),
    ("model.decoder.11.pp_block.attention.output.key_tokens", ("output", 11, "key_tokens")),
    ("model.decoder.0.pp_block.feed_forward.pattention.value_tokens", ("feed_forward", 0, "value_tokens")),
    ("model.decoder.0.pp_block.attention.output.weight", None),
    ("model.decoder.0.pp_block.feed_forward.gate.weight", None),
    ("model.decoder.0.pp_block.attention_norm.weight", None),
    ("model.lm_head.pp_block.weight", None),
)
def test_a_parameter_is_known_by_its_name(name, expected):
    found = ParameterName.parse(name)
    assert (found.projection and (found.projection, found.layer, found.kind)) == expected
