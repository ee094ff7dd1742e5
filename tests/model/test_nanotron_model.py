"""What Nanotron, and growth, ask of the model: names, costs, rates."""

import pytest
import torch
from nanotron.trainer import CONFIG_TO_MODEL_CLASS

from tests.support.growth.plain_models import grown
from tokenformer.growth.append_tokens import AppendTokens
from tokenformer.growth.parameter_name import ParameterName
from tokenformer.model.config import LayerTokens
from tokenformer.model.flops import tokenformer_size


@pytest.fixture(scope="module")
def model(tokenformer_config, build):
    return build(tokenformer_config(num_key_value_heads=1, tie_word_embeddings=False))


def test_the_config_of_a_yaml_finds_the_model(model, tokenformer_config):
    assert CONFIG_TO_MODEL_CLASS[type(tokenformer_config()).__name__] is type(model)


def test_growth_knows_every_parameter_by_its_name(build, tokenformer_config):
    model = build(tokenformer_config(tau="learned", layer_tokens=[LayerTokens(1, qkv_tokens=6)]))
    found = set()
    for name, parameter in model.named_parameters():
        growing = ParameterName.parse(name)
        assert (growing.projection is not None) == name.endswith(("key_tokens", "value_tokens", "tau"))
        if growing.projection is not None:
            segments = model.config.segments(growing.projection, growing.layer)
            assert len(parameter) == (len(segments) if growing.kind == "tau" else sum(s.tokens for s in segments))
            found.add((growing.projection, growing.layer, growing.kind))
    assert len(found) == 3 * 2 * 3


def test_parameter_tokens_alone_are_sharded(model):
    for name, parameter in model.named_parameters():
        if ".decoder." in name:
            assert parameter.is_sharded == name.endswith(("key_tokens", "value_tokens"))


@pytest.mark.parametrize("exact", [{"new_tokens": "zero_values"}, {"new_tokens": "zero_keys"}])
def test_a_grown_model_computes_what_the_old_one_did(model, build, batch, exact):
    operator = AppendTokens(factor=1.5, **exact)
    old = {name: parameter.detach() for name, parameter in model.named_parameters()}
    weights, after = grown(operator, model.config, old, names=old)
    larger = build(after)
    with torch.no_grad():
        for name, parameter in larger.named_parameters():
            parameter.copy_(weights[name])
        inputs = batch(model.config)
        assert larger(**inputs)["loss"].item() == pytest.approx(model(**inputs)["loss"].item(), abs=1e-6)


def test_tied_names_are_parameters(build, tokenformer_config, model):
    assert model.get_embeddings_lm_head_tied_names() == []
    tied = build(tokenformer_config())
    names = tied.get_embeddings_lm_head_tied_names()
    parameters = dict(tied.named_parameters(remove_duplicate=False))
    first, second = (parameters[name] for name in names)
    assert first is second


def test_block_costs_are_the_parameters_that_are_multiplied(model):
    costs = model.get_block_compute_costs()
    blocks = {block.module_builder: block.pp_block for block in [*model.model.decoder, model.model.lm_head]}
    assert costs.keys() == blocks.keys()
    for kind, block in blocks.items():
        assert costs[kind] == sum(parameter.numel() for parameter in block.parameters() if parameter.ndim == 2)


def test_a_layer_with_more_parameter_tokens_costs_more(build, tokenformer_config):
    tokens = {"qkv_tokens": 8, "output_tokens": 8, "feed_forward_tokens": 8}
    larger = LayerTokens(1, feed_forward_tokens=40)
    model = build(tokenformer_config(**tokens, layer_tokens=[larger]))
    first, second = (model.get_block_compute_costs()[block.module_builder] for block in model.model.decoder)
    assert second - first == (40 - 8) * 2 * model.config.hidden_size


def test_flops_per_second_is_operations_over_time(model):
    tokens, seconds = 12 * 7, 0.25
    expected = tokenformer_size(model.config).training_flops_per_token(12) * tokens / seconds / 1e12
    assert model.get_flops_per_sec(seconds, 12, 7) == pytest.approx((expected, expected))
