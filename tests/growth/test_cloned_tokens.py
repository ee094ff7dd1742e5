"""append_tokens with clones: the function, the law of its gradients, and what noise is for."""

import pytest
import torch
from plain_models import grown, logits, random_parameters, tokenformer_config

from tokenformer.growth.append_tokens import AppendTokens
from tokenformer.growth.pattention_parameter import PattentionParameter
from tokenformer.model.config import LayerTokens, TokenSegment

IDS = torch.randint(31, (3, 12), generator=torch.Generator().manual_seed(1))
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
    expected, (clone, after) = logits(parameters, config, IDS), grown(operator, config, parameters)
    assert ((logits(clone, after, IDS) - expected).norm() / expected.norm()).item() < 1e-12
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
            law = operator.grown_moment(name, {name: before[name] ** power}, power, config, after)
            torch.testing.assert_close(law, gradient**power, rtol=1e-9, atol=1e-13)


def test_new_elements_are_those_outside_the_first_copy():
    config, operator = tokenformer_config(tau="learned", **SEGMENTS), AppendTokens(new_tokens="clone", noise_db=None)
    clone, after = grown(operator, config, random_parameters(config))
    for name, tensor in clone.items():
        new = operator.new_part(name, config, after).expand(tensor.shape)
        parameter = PattentionParameter.from_name(name)
        if parameter is None or parameter.kind == "tau":
            assert not new.any()
        else:
            expected = torch.cat([torch.arange(2 * rows) >= rows for rows in parameter.rows(config)])
            assert torch.equal(new, expected[:, None].expand(tensor.shape))


def test_chosen_layers_alone_are_cloned():
    config, operator = tokenformer_config(), AppendTokens(new_tokens="clone", layers=[1])
    parameters = random_parameters(config)
    clone, after = grown(operator, config, parameters)
    changed = {name for name in clone if clone[name].shape != parameters[name].shape}
    assert changed == {name for name in clone if ".decoder.1." in name and PattentionParameter.from_name(name)}
    for name in parameters.keys() - changed:
        assert torch.equal(clone[name], parameters[name])
        assert operator.learning_rate_factor(name, config, after) == 1
    factors = {name.rpartition(".")[2]: operator.learning_rate_factor(name, config, after) for name in changed}
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
