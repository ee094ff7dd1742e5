"""append_tokens with clones: the function, the law of its gradients, and what noise is for."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.growth.plain_models import (
    IDS,
    change,
    grown,
    grown_moment,
    growth_of,
    logits,
    random_parameters,
    tokenformer_config,
)
from tests.support.growth.plain_training import training
from tokenformer.errors import UserError
from tokenformer.growth.append_tokens import AppendTokens
from tokenformer.growth.parameter_name import ParameterName
from tokenformer.model.config import LayerTokens, TokenSegment

SEGMENTS = {
    "qkv_tokens": [TokenSegment(3, 1.0), TokenSegment(4, 2.0)],
    "layer_tokens": [LayerTokens(1, feed_forward_tokens=[TokenSegment(10, 3.0), TokenSegment(4, 2.0)])],
}
CASES = {
    "plain": {},
    "segments": SEGMENTS,
    "learned tau": {**SEGMENTS, "tau": "learned"},
    "tau current": {"tau": "current"},
    "gelu before the norm": {**SEGMENTS, "theta": "gelu_l2_norm"},
    "softmax": {**SEGMENTS, "theta": "softmax"},
    "official eps": {"pattention_eps": 0.0, "num_key_value_heads": 1},
    "ordinary attention": {"qkv_layer": "linear", "output_layer": "linear"},
}


@pytest.mark.parametrize("noise_db", [None, 10.0, 0.0])
@pytest.mark.parametrize("copies", [2, 3])
@pytest.mark.parametrize("case", CASES)
def test_clones_keep_the_function(case, copies, noise_db):
    config = tokenformer_config(**CASES[case])
    operator, parameters = AppendTokens(copies, new_tokens="clone", noise_db=noise_db), random_parameters(config)
    assert operator.is_exact(config)
    clone, after = grown(operator, config, parameters)
    assert change((parameters, config), (clone, after)) < 1e-12
    repeats = [torch.equal(*clone[name].chunk(2)) for name in clone if name.endswith("value_tokens")]
    assert any(repeats) == (noise_db is None and copies == 2)


def gradients(parameters, config) -> dict[str, torch.Tensor]:
    leaves = {name: tensor.clone().requires_grad_() for name, tensor in parameters.items()}
    logits(leaves, config, IDS).square().mean().backward()
    return {name: leaf.grad for name, leaf in leaves.items()}


@pytest.mark.parametrize("copies", [2, 3])
@pytest.mark.parametrize("case", CASES)
def test_moments_of_clones_are_those_of_their_gradients(case, copies):
    """The law is that of single gradients, so that of their means too."""
    config, operator = tokenformer_config(**CASES[case]), AppendTokens(copies, new_tokens="clone", noise_db=None)
    parameters = random_parameters(config)
    clone, after = grown(operator, config, parameters)
    before, expected = gradients(parameters, config), gradients(clone, after)
    for name, gradient in expected.items():
        for power in (1, 2):
            law = grown_moment(operator, name, {name: before[name] ** power}, power, config, after)
            torch.testing.assert_close(law, gradient**power, rtol=1e-9, atol=1e-13)


@pytest.mark.parametrize("copies", [2, 3])
@pytest.mark.parametrize("case", CASES)
def test_with_noise_the_law_holds_for_values_and_for_the_sum_of_key_copies(case, copies):
    """What noise adds to the gradients of key copies has the sum zero."""
    config, operator = tokenformer_config(**CASES[case]), AppendTokens(copies, new_tokens="clone", noise_db=-6.0)
    parameters = random_parameters(config)
    clone, after = grown(operator, config, parameters)
    before, noisy = gradients(parameters, config), gradients(clone, after)
    differ = 0
    for name, gradient in noisy.items():
        law = grown_moment(operator, name, before, 1, config, after)
        if name.endswith("key_tokens"):
            differ += not torch.allclose(gradient, law, rtol=1e-3)
            rows = ParameterName.parse(name).rows(config)
            gradient, law = (summed_copies(each, rows, copies) for each in (gradient, law))
        torch.testing.assert_close(gradient, law, rtol=1e-9, atol=1e-13)
    assert differ == sum(name.endswith("key_tokens") for name in noisy)


def summed_copies(rows_of_clone: torch.Tensor, rows: list[int], copies: int) -> torch.Tensor:
    parts = rows_of_clone.split([count * copies for count in rows])
    return torch.cat([part.unflatten(0, (copies, -1)).sum(0) for part in parts])


@pytest.mark.parametrize("copies", [2, 3])
def test_noise_has_the_strength_that_is_asked_for_and_the_sum_zero(copies):
    config = tokenformer_config(feed_forward_tokens=200)
    name = "model.decoder.0.pp_block.feed_forward.pattention.value_tokens"
    parameters = random_parameters(config)
    for noise_db in (20.0, 0.0, -12.0):
        clone, _ = grown(AppendTokens(copies, new_tokens="clone", noise_db=noise_db), config, parameters)
        torch.testing.assert_close(summed_copies(clone[name], [200], copies), parameters[name])
        share = parameters[name] / copies
        noise = (clone[name][:200] - share).square().mean() / share.square().mean()
        torch.testing.assert_close(10 * noise.log10(), torch.tensor(-noise_db, dtype=torch.float64))


@pytest.mark.parametrize("theta", ["l2_norm_gelu", "gelu_l2_norm", "softmax"])
def test_without_noise_clones_learn_exactly_what_their_originals_learn(theta):
    config = tokenformer_config(theta=theta, tau="learned", num_hidden_layers=1, qkv_tokens=SEGMENTS["qkv_tokens"])
    source = training(config, weight_decay=0.1)
    start = source.run(20)[0]
    operator = AppendTokens(3, output=2, new_tokens="clone", noise_db=None)
    locked, fast = source.grown(operator), source.grown(operator, follow_rates=False)
    expected = source.run(40)
    assert expected[-1] < start - 0.5
    assert furthest(locked.run(40), expected) < 1e-7
    assert furthest(fast.run(40), expected) > 1e-2


def furthest(losses: list[float], others: list[float]) -> float:
    return max(abs(loss - other) for loss, other in zip(losses, others, strict=True))


def test_clones_of_zero_values_are_refused_because_noise_could_not_part_them():
    config = tokenformer_config()
    born, after = grown(AppendTokens(), config, random_parameters(config))
    with pytest.raises(UserError, match=r"query\.value_tokens has only zero values.*train between the two events"):
        grown(AppendTokens(new_tokens="clone"), after, born)
    clone, cloned = grown(AppendTokens(new_tokens="clone", noise_db=None), after, born)
    torch.testing.assert_close(logits(clone, cloned, IDS), logits(born, after, IDS))


exact_operators = st.one_of(
    st.builds(AppendTokens, st.sampled_from([1.5, 2.0]), new_tokens=st.sampled_from(["zero_values", "zero_keys"])),
    st.builds(AppendTokens, count=st.integers(1, 5), layers=st.sampled_from([[0], [1], [0, 1], None])),
    st.builds(
        AppendTokens,
        st.sampled_from([2, 3]),
        new_tokens=st.just("clone"),
        layers=st.sampled_from([[1], None]),
        noise_db=st.sampled_from([None, 10.0, 0.0, -12.0]),
    ),
)


@settings(max_examples=25)
@given(operators=st.lists(exact_operators, min_size=2, max_size=3), learned=st.booleans(), seed=st.integers(0, 99))
def test_any_chain_of_exact_operators_is_exact(operators, learned, seed):
    config = tokenformer_config(tau="learned" if learned else "fixed", **SEGMENTS)
    parameters = random_parameters(config, seed)
    generator = torch.Generator().manual_seed(seed)
    for stage, operator in enumerate(operators, start=1):
        before, (parameters, config) = (parameters, config), grown(operator, config, parameters, stage=stage)
        assert operator.is_exact(config)
        assert change(before, (parameters, config)) < 1e-12
        learn = {name: torch.randn(old.shape, generator=generator, dtype=old.dtype) for name, old in parameters.items()}
        parameters = {name: old + 0.05 * learn[name] for name, old in parameters.items()}


def test_new_elements_are_those_outside_the_first_copy():
    config, operator = tokenformer_config(tau="learned", **SEGMENTS), AppendTokens(new_tokens="clone", noise_db=None)
    clone, after = grown(operator, config, random_parameters(config))
    for name, tensor in clone.items():
        new = growth_of(operator, name, config, after).new_elements().expand(tensor.shape)
        parameter = ParameterName.parse(name)
        if parameter.projection is None or parameter.kind == "tau":
            assert not new.any()
        else:
            expected = torch.cat([torch.arange(2 * rows) >= rows for rows in parameter.rows(config)])
            assert torch.equal(new, expected[:, None].expand(tensor.shape))


def test_chosen_layers_alone_are_cloned():
    config, operator = tokenformer_config(), AppendTokens(new_tokens="clone", layers=[1])
    parameters = random_parameters(config)
    clone, after = grown(operator, config, parameters)
    changed = {name for name in clone if clone[name].shape != parameters[name].shape}
    assert changed == {name for name in clone if ".decoder.1." in name and ParameterName.parse(name).projection}
    for name in parameters.keys() - changed:
        assert torch.equal(clone[name], parameters[name])
        assert growth_of(operator, name, config, after).learning_rate_factor == 1
    growths = {name.rpartition(".")[2]: growth_of(operator, name, config, after) for name in changed}
    factors = {kind: growth.learning_rate_factor for kind, growth in growths.items()}
    assert factors == {"key_tokens": 1.0, "value_tokens": 0.5}


@pytest.mark.parametrize("noise_db", [None, 0.0])
def test_without_noise_copies_stay_copies(noise_db):
    config, operator = tokenformer_config(), AppendTokens(new_tokens="clone", noise_db=noise_db)
    clone, after = grown(operator, config, random_parameters(config))
    for _ in range(3):
        step = gradients(clone, after)
        clone = {name: tensor - 0.1 * step[name] for name, tensor in clone.items()}
    keys = [tensor.chunk(2) for name, tensor in clone.items() if name.endswith("key_tokens")]
    differences = [((first - second).norm() / first.norm()).item() for first, second in keys]
    assert max(differences) < 1e-12 if noise_db is None else min(differences) > 1e-4
