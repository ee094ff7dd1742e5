"""append_tokens as a pure operator: what the grown layers compute, held against the float64 reference kernel."""

import copy
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tokenformer.errors import UserError
from tokenformer.growth.append_tokens import AppendTokens, projection_of
from tokenformer.growth.operator import GrowthContext
from tokenformer.kernels import pattention
from tokenformer.model.config import PROJECTIONS, TokenformerConfig, TokenSegment
from tokenformer.model.flops import tokenformer_size

CONFIG = TokenformerConfig(
    hidden_size=8,
    num_hidden_layers=2,
    num_attention_heads=2,
    num_key_value_heads=1,
    qkv_tokens=8,
    output_tokens=12,
    feed_forward_tokens=20,
    vocab_size=32,
    max_position_embeddings=16,
)
# Module, its projection, and the width of its output.
PATTENTIONS = {
    "attention.query": ("qkv", 8),
    "attention.key": ("qkv", 4),
    "attention.value": ("qkv", 4),
    "attention.output": ("output", 8),
    "feed_forward.pattention": ("feed_forward", 8),
}
EXACT = [{"new_tokens": "zero_values"}, {"new_tokens": "zero_keys"}]
OTHER = "model.final_norm.pp_block.weight"
factors = st.sampled_from([1.0, 1.25, 1.5, 2.0, 3.0])


def random_parameters(config, seed=0) -> dict[str, torch.Tensor]:
    """Keys and values of two layers, and one parameter that is neither."""
    generator = torch.Generator().manual_seed(seed)
    parameters = {OTHER: torch.randn(8, generator=generator, dtype=torch.float64)}
    for layer in range(2):
        for module, (projection, width) in PATTENTIONS.items():
            for side, features in (("key", 8), ("value", width)):
                shape = config.tokens(projection), features
                name = f"model.decoder.{layer}.pp_block.{module}.{side}_tokens"
                parameters[name] = torch.randn(shape, generator=generator, dtype=torch.float64)
    return parameters


def context(stage=1, seed=5, shard=(0, 1), scale=0.5) -> GrowthContext:
    return GrowthContext(seed, stage, shard, root_mean_square=lambda name: scale)


def grow(parameters, operator, config, **of_context):
    after = operator.grown_config(config)
    of_context = context(**of_context)
    grown = {name: operator.grown_parameter(name, old, config, after, of_context) for name, old in parameters.items()}
    return grown, after


def outputs(parameters, config) -> dict[str, torch.Tensor]:
    """What every Pattention makes of the same inputs."""
    x = torch.randn(3, 5, 8, generator=torch.Generator().manual_seed(9), dtype=torch.float64)
    result = {}
    for layer in range(2):
        for module, (projection, _) in PATTENTIONS.items():
            name, segments = f"model.decoder.{layer}.pp_block.{module}", config.segments(projection)
            result[name] = pattention(
                x,
                parameters[f"{name}.key_tokens"],
                parameters[f"{name}.value_tokens"],
                segments=[segment.tokens for segment in segments],
                tau=[segment.tau for segment in segments],
                eps=config.pattention_eps,
                gelu=config.gelu,
                backend="reference",
            )
    return result


def assert_same_function(before, after):
    for name, expected in before.items():
        torch.testing.assert_close(after[name], expected, rtol=1e-12, atol=1e-14, msg=name)


@settings(max_examples=25, deadline=None)
@given(qkv=factors, output=factors, feed_forward=st.sampled_from([1.25, 2.0, 5.0]), exact=st.sampled_from(EXACT))
def test_growth_keeps_the_function(qkv, output, feed_forward, exact):
    operator = AppendTokens(qkv=qkv, output=output, feed_forward=feed_forward, **exact)
    assert operator.exact
    parameters = random_parameters(CONFIG)
    grown, after = grow(parameters, operator, CONFIG)
    assert_same_function(outputs(parameters, CONFIG), outputs(grown, after))


def test_zero_values_in_a_shared_norm_change_the_function_and_say_so():
    operator = AppendTokens(new_tokens="zero_values", norm="shared")
    assert not operator.exact
    parameters = random_parameters(CONFIG)
    grown, after = grow(parameters, operator, CONFIG)
    for name, old in outputs(parameters, CONFIG).items():
        assert (outputs(grown, after)[name] - old).norm() > 0.01 * old.norm()


@pytest.mark.parametrize("first", EXACT)
@pytest.mark.parametrize("second", EXACT)
def test_a_second_event_keeps_the_function_that_was_learned_since_the_first(first, second):
    grown, config = grow(random_parameters(CONFIG), AppendTokens(**first), CONFIG)
    trained = {name: old + 0.1 * torch.randn_like(old) for name, old in grown.items()}
    again, after = grow(trained, AppendTokens(**second), config, stage=2)
    assert_same_function(outputs(trained, config), outputs(again, after))
    assert after.tokens("qkv") == 4 * CONFIG.tokens("qkv")


@pytest.mark.parametrize("exact", EXACT)
def test_new_tokens_learn(exact):
    """One side gets a gradient at once, and after a step so does the other; the rows differ."""
    old = CONFIG.tokens("feed_forward")
    grown, config = grow(random_parameters(CONFIG), AppendTokens(**exact), CONFIG)
    name = "model.decoder.0.pp_block.feed_forward.pattention"
    sides = {side: f"{name}.{side}_tokens" for side in ("key", "value")}
    silent = "value" if exact["new_tokens"] == "zero_keys" else "key"
    for step in (1, 2):
        leaves = {parameter: grown[parameter].clone().requires_grad_() for parameter in sides.values()}
        outputs(grown | leaves, config)[name].square().sum().backward()
        for side, parameter in sides.items():
            gradient = leaves[parameter].grad[old:]
            if step == 1 and side == silent:
                assert not gradient.any()
            else:
                assert (gradient.norm(dim=1) > 0).all()
                assert len(gradient.unique(dim=0)) == len(gradient)
        grown = grown | {parameter: (leaf - 0.01 * leaf.grad).detach() for parameter, leaf in leaves.items()}


def test_exactly_one_side_is_zero_and_the_other_has_the_scale_of_the_old_rows():
    config = TokenformerConfig(**{**vars(CONFIG), "feed_forward_tokens": 2000})
    for new_tokens, zero in (("zero_values", "value"), ("zero_keys", "key")):
        grown, _ = grow(random_parameters(config), AppendTokens(new_tokens=new_tokens), config, scale=0.03)
        for side in ("key", "value"):
            new = grown[f"model.decoder.1.pp_block.feed_forward.pattention.{side}_tokens"][2000:]
            expected = 0 if side == zero else 0.03
            assert new.square().mean().sqrt().item() == pytest.approx(expected, rel=0.05)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_old_rows_and_other_parameters_stay_bit_for_bit(dtype):
    parameters = {name: old.to(dtype) for name, old in random_parameters(CONFIG).items()}
    kept = copy.deepcopy(parameters)
    grown, _ = grow(parameters, AppendTokens(), CONFIG)
    for name, old in kept.items():
        assert torch.equal(grown[name][: len(old)], old) and grown[name].dtype == dtype
        assert torch.equal(parameters[name], old)
    assert torch.equal(grown[OTHER], kept[OTHER])


@pytest.mark.parametrize("exact", EXACT)
def test_moments_of_old_rows_stay_bit_for_bit_and_new_ones_are_zero(exact):
    operator = AppendTokens(output=1, **exact)
    after = operator.grown_config(CONFIG)
    for name, old in random_parameters(CONFIG).items():
        grown = operator.grown_moment(name, old, CONFIG, after)
        assert grown.shape == operator.grown_parameter(name, old, CONFIG, after, context()).shape
        assert torch.equal(grown[: len(old)], old)
        assert not grown[len(old) :].any()


def test_what_is_drawn_depends_on_seed_stage_and_name_alone():
    def drawn(**of_context):
        grown, _ = grow(random_parameters(CONFIG), AppendTokens(), CONFIG, **of_context)
        keys = [grown[name][8:] for name in sorted(grown) if name.endswith(("query.key_tokens", "key.key_tokens"))]
        assert len(keys) == 4
        return keys

    torch.manual_seed(0)
    first = drawn()
    torch.manual_seed(1)
    assert all(torch.equal(a, b) for a, b in zip(first, drawn(), strict=True))
    different = [*first, *drawn(stage=2), *drawn(seed=6)]
    assert len(torch.stack(different).flatten(1).unique(dim=0)) == len(different)


def test_drawing_leaves_the_global_generator_alone():
    torch.manual_seed(3)
    state = torch.get_rng_state()
    grow(random_parameters(CONFIG), AppendTokens(), CONFIG)
    assert torch.equal(torch.get_rng_state(), state)


def test_the_segments_of_the_grown_config():
    own = AppendTokens(factor=2, output=1, feed_forward=1.5).grown_config(CONFIG)
    assert own.segments("qkv") == [TokenSegment(8, math.sqrt(8))] * 2
    assert own.segments("output") == [TokenSegment(12, math.sqrt(12))]
    assert own.segments("feed_forward") == [TokenSegment(20, math.sqrt(20)), TokenSegment(10, math.sqrt(10))]
    shared = AppendTokens(factor=2, new_tokens="zero_keys").grown_config(own)
    assert shared.segments("qkv") == [TokenSegment(8, math.sqrt(8)), TokenSegment(24, math.sqrt(8))]


def test_the_old_config_stays_as_it_was():
    before = copy.deepcopy(CONFIG)
    once = AppendTokens().grown_config(CONFIG)
    kept = copy.deepcopy(once)
    for exact in EXACT:
        AppendTokens(**exact).grown_config(once)
    assert before == CONFIG and kept == once


@settings(max_examples=40, deadline=None)
@given(qkv=factors, output=factors, feed_forward=st.sampled_from([1.25, 2.0]), exact=st.sampled_from(EXACT))
def test_parameters_and_flops_of_the_grown_config(qkv, output, feed_forward, exact):
    operator = AppendTokens(qkv=qkv, output=output, feed_forward=feed_forward, **exact)
    after = operator.grown_config(CONFIG)
    grown, old = grow(random_parameters(CONFIG), operator, CONFIG)[0], random_parameters(CONFIG)
    added = sum(grown[name].numel() - old[name].numel() for name in old)
    before_size, after_size = tokenformer_size(CONFIG), tokenformer_size(after)
    assert after_size.parameters - before_size.parameters == added > 0
    forward = after_size.forward_flops_per_token(16) - before_size.forward_flops_per_token(16)
    training = after_size.training_flops_per_token(16) - before_size.training_flops_per_token(16)
    assert (forward, training) == (2 * added, 6 * added)
    for projection, factor in zip(PROJECTIONS, (qkv, output, feed_forward), strict=True):
        assert after.tokens(projection) == round(CONFIG.tokens(projection) * factor)


@pytest.mark.parametrize(
    ("settings_", "message"),
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
def test_settings_that_lose_something_are_refused(settings_, message):
    with pytest.raises(UserError, match=message):
        AppendTokens(**settings_)


def test_a_factor_too_small_to_add_a_token_is_refused():
    with pytest.raises(UserError, match="stand still"):
        AppendTokens(factor=1.01).grown_config(CONFIG)


@pytest.mark.parametrize(
    ("name", "projection"),
    [
        ("model.decoder.0.pp_block.attention.key.value_tokens", "qkv"),
        ("model.decoder.0.pp_block.attention.value.key_tokens", "qkv"),
        ("model.decoder.11.pp_block.attention.output.key_tokens", "output"),
        ("model.decoder.0.pp_block.feed_forward.pattention.value_tokens", "feed_forward"),
        ("model.decoder.0.pp_block.attention_norm.weight", None),
        ("model.lm_head.pp_block.weight", None),
    ],
)
def test_the_projection_of_a_parameter_by_its_name(name, projection):
    assert projection_of(name) == projection
