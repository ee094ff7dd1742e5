"""append_tokens on parameters: what the grown layers compute, held against the float64 reference kernel."""

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.growth.plain_models import few_tokens_config as config_with
from tests.support.growth.plain_models import grown, grown_moment, growth_of
from tokenformer.growth.append_tokens import AppendTokens
from tokenformer.growth.parameter_name import ParameterName
from tokenformer.kernels import pattention
from tokenformer.model.config import LayerTokens

# Module, and the width of its output.
PATTENTIONS = {
    "attention.qkv.query": 8,
    "attention.qkv.key": 4,
    "attention.qkv.value": 4,
    "attention.output": 8,
    "feed_forward.pattention": 8,
}
SIDES = ("key_tokens", "value_tokens")
EXACT = [{"new_tokens": "zero_values"}, {"new_tokens": "zero_keys"}]
OTHER = "model.final_norm.pp_block.weight"
THETAS, TAUS = ("l2_norm_gelu", "gelu_l2_norm", "softmax"), ("fixed", "learned", "current")
factors = st.sampled_from([1.0, 1.25, 1.5, 2.0, 3.0])


CONFIG = config_with()


def modules() -> list[str]:
    return [f"model.decoder.{layer}.pp_block.{module}" for layer in range(2) for module in PATTENTIONS]


def segments_of(config, module: str) -> list:
    parameter = ParameterName.parse(f"{module}.key_tokens")
    return config.segments(parameter.projection, parameter.layer)


def random_parameters(config, seed=0) -> dict[str, torch.Tensor]:
    """Those of every Pattention, and one that is of none."""
    generator = torch.Generator().manual_seed(seed)
    parameters = {OTHER: torch.randn(8, generator=generator, dtype=torch.float64)}
    for module in modules():
        segments = segments_of(config, module)
        rows, width = sum(segment.tokens for segment in segments), PATTENTIONS[module.partition("pp_block.")[2]]
        for side, features in zip(SIDES, (8, width), strict=True):
            parameters[f"{module}.{side}"] = torch.randn(rows, features, generator=generator, dtype=torch.float64)
        if config.tau == "learned":
            parameters[f"{module}.tau"] = torch.rand(len(segments), generator=generator, dtype=torch.float64) + 1
    return parameters


def grow(parameters, operator, config, **of_context):
    return grown(operator, config, parameters, names=parameters, **of_context)


def outputs(parameters, config) -> dict[str, torch.Tensor]:
    """What every Pattention makes of the same inputs."""
    x = torch.randn(3, 5, 8, generator=torch.Generator().manual_seed(9), dtype=torch.float64)
    result = {}
    for module in modules():
        segments = segments_of(config, module)
        result[module] = pattention(
            x,
            *(parameters[f"{module}.{side}"] for side in SIDES),
            segments=[segment.tokens for segment in segments],
            tau=parameters.get(f"{module}.tau", [segment.tau for segment in segments]),
            eps=config.pattention_eps,
            variant=config.theta,
            gelu=config.gelu,
            backend="reference",
        )
    return result


def largest_change(before, after) -> float:
    """Relative, over all modules."""
    return max(((after[module] - old).norm() / old.norm()).item() for module, old in before.items())


@settings(max_examples=25)
@given(qkv=factors, output=factors, feed_forward=st.sampled_from([1.25, 2.0, 5.0]), exact=st.sampled_from(EXACT))
def test_growth_keeps_the_function(qkv, output, feed_forward, exact):
    operator = AppendTokens(qkv=qkv, output=output, feed_forward=feed_forward, **exact)
    assert operator.is_exact(CONFIG)
    parameters = random_parameters(CONFIG)
    assert largest_change(outputs(parameters, CONFIG), outputs(*grow(parameters, operator, CONFIG))) < 1e-12


@pytest.mark.parametrize("kind", [*EXACT, {"new_tokens": "zero_values", "norm": "shared"}], ids=lambda kind: str(kind))
@pytest.mark.parametrize("tau", TAUS)
@pytest.mark.parametrize("theta", THETAS)
def test_the_operator_says_whether_it_keeps_the_function(theta, tau, kind):
    config, operator = config_with(theta=theta, tau=tau), AppendTokens(**kind)
    parameters = random_parameters(config)
    change = largest_change(outputs(parameters, config), outputs(*grow(parameters, operator, config)))
    assert change < 1e-12 if operator.is_exact(config) else change > 1e-2
    shared = operator.norm == "shared" or kind["new_tokens"] == "zero_keys"
    is_official = shared and (theta == "softmax" or tau == "current")
    assert operator.is_exact(config) == (operator.norm != "shared" and not is_official)


@pytest.mark.parametrize("tau", TAUS[:2])
@pytest.mark.parametrize("first", EXACT)
@pytest.mark.parametrize("second", EXACT)
def test_a_second_event_keeps_what_was_learned_since_the_first(first, second, tau):
    start = config_with(tau=tau, layer_tokens=[LayerTokens(1, qkv_tokens=4)])
    grown, config = grow(random_parameters(start), AppendTokens(**first), start)
    trained = {name: old + 0.1 * torch.randn_like(old) for name, old in grown.items()}
    again, after = grow(trained, AppendTokens(**second), config, stage=2)
    assert largest_change(outputs(trained, config), outputs(again, after)) < 1e-12
    assert (after.tokens("qkv", 0), after.tokens("qkv", 1)) == (32, 16)


@pytest.mark.parametrize("theta", THETAS[:2])
@pytest.mark.parametrize("exact", EXACT)
def test_new_tokens_learn(exact, theta):
    """One side gets a gradient at once, and after a step so does the other; the rows differ."""
    start = config_with(theta=theta)
    grown, config = grow(random_parameters(start), AppendTokens(**exact), start)
    module, old = modules()[-1], start.tokens("feed_forward")
    silent = "value_tokens" if exact["new_tokens"] == "zero_keys" else "key_tokens"
    for step in (1, 2):
        leaves = {f"{module}.{side}": grown[f"{module}.{side}"].clone().requires_grad_() for side in SIDES}
        outputs(grown | leaves, config)[module].square().sum().backward()
        for side in SIDES:
            gradient = leaves[f"{module}.{side}"].grad[old:]
            if step == 1 and side == silent:
                assert not gradient.any()
            else:
                assert (gradient.norm(dim=1) > 0).all()
                assert len(gradient.unique(dim=0)) == len(gradient)
        grown = grown | {name: (leaf - 0.01 * leaf.grad).detach() for name, leaf in leaves.items()}


def test_exactly_one_side_is_zero_and_the_other_has_the_scale_of_the_old_rows():
    config = config_with(feed_forward_tokens=2000)
    for new_tokens, zero in (("zero_values", "value_tokens"), ("zero_keys", "key_tokens")):
        parameters = {name: 0.03 * old for name, old in random_parameters(config).items()}
        grown, _ = grow(parameters, AppendTokens(new_tokens=new_tokens), config)
        for side in SIDES:
            new = grown[f"{modules()[-1]}.{side}"][2000:]
            assert new.square().mean().sqrt().item() == pytest.approx(0 if side == zero else 0.03, rel=0.05)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_old_rows_and_other_parameters_stay_bit_for_bit(dtype):
    config = config_with(tau="learned")
    parameters = {name: old.to(dtype) for name, old in random_parameters(config).items()}
    kept = copy.deepcopy(parameters)
    grown, _ = grow(parameters, AppendTokens(), config)
    for name, old in kept.items():
        assert torch.equal(grown[name][: len(old)], old) and grown[name].dtype == dtype
        assert torch.equal(parameters[name], old)
    assert torch.equal(grown[OTHER], kept[OTHER])


@pytest.mark.parametrize("exact", EXACT)
def test_moments_of_old_rows_stay_bit_for_bit_and_new_ones_are_zero(exact):
    config, operator = config_with(tau="learned"), AppendTokens(output=1, **exact)
    parameters = random_parameters(config)
    grown, after = grow(parameters, operator, config)
    for name, old in parameters.items():
        for power in (1, 2):
            moment = grown_moment(operator, name, parameters, power, config, after)
            assert moment.shape == grown[name].shape
            assert torch.equal(moment[: len(old)], old)
            assert not moment[len(old) :].any()


def test_the_new_part_is_what_the_old_tensor_does_not_fill():
    config, operator = config_with(tau="learned"), AppendTokens(output=1)
    parameters = random_parameters(config)
    grown, after = grow(parameters, operator, config)
    for name, old in parameters.items():
        expected = torch.zeros_like(grown[name], dtype=torch.bool)
        expected[len(old) :] = True
        growth = growth_of(operator, name, config, after)
        assert torch.equal(growth.new_elements().expand(expected.shape), expected), name
        assert growth.learning_rate_factor == 1.0


def test_what_is_drawn_depends_on_seed_stage_and_name_alone():
    def drawn(**of_context):
        grown, _ = grow(random_parameters(CONFIG), AppendTokens(), CONFIG, **of_context)
        keys = [grown[name][8:] for name in sorted(grown) if name.endswith(("query.key_tokens", "key.key_tokens"))]
        assert len(keys) == 4
        return keys

    torch.manual_seed(0)
    first = drawn()
    torch.manual_seed(1)
    state = torch.get_rng_state()
    assert all(torch.equal(a, b) for a, b in zip(first, drawn(), strict=True))
    assert torch.equal(torch.get_rng_state(), state)
    different = [*first, *drawn(stage=2), *drawn(seed=6)]
    assert len(torch.stack(different).flatten(1).unique(dim=0)) == len(different)
