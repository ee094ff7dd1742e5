"""Spread and learning rate by size: none at the base size, the law of clones between sizes, and initial weights."""

import dataclasses
import math

import pytest
import torch

from tests.support.growth.plain_models import growth_of, random_parameters
from tests.support.growth.plain_models import tokenformer_config as plain_config
from tokenformer.growth.append_tokens import AppendTokens
from tokenformer.growth.hypercloning import HyperCloning
from tokenformer.growth.stack_layers import StackLayers
from tokenformer.model.config import BaseSize, TokenSegment
from tokenformer.model.parametrization import Scale, scale_of, spectral_spread

BASE = BaseSize(hidden_size=16, qkv_tokens=6, output_tokens=7, feed_forward_tokens=10, swiglu_width=12)
TRANSFER = {"parametrization": "transfer", "base_size": BASE}
LAYERS = {
    "pattention": {"tau": "learned", "block_norm_affine": True},
    "ordinary": {
        "qkv_layer": "linear",
        "output_layer": "linear",
        "feed_forward_layer": "swiglu",
        "swiglu_width": 12,
        "tie_word_embeddings": False,
    },
}
BLOCK = "model.decoder.0.pp_block"


def names_of(config) -> list[str]:
    return list(random_parameters(config))


@pytest.mark.parametrize("layers", LAYERS.values(), ids=LAYERS)
def test_at_the_base_size_transfer_is_standard(layers):
    config = plain_config(**TRANSFER, **layers)
    assert {scale_of(name, config) for name in names_of(config)} == {Scale()}


@pytest.mark.parametrize("layers", LAYERS.values(), ids=LAYERS)
def test_standard_has_no_factors_at_any_size(layers):
    config = dataclasses.replace(plain_config(**TRANSFER, **layers), parametrization="standard", hidden_size=64)
    assert {scale_of(name, config) for name in names_of(config)} == {Scale()}


def test_factors_follow_the_table():
    config = plain_config(
        **TRANSFER, tau="learned", hidden_size=64, qkv_tokens=24, output_tokens=7, feed_forward_tokens=20
    )
    spread = {(tokens, base): spectral_spread(tokens, 64) / spectral_spread(base, 16) for tokens, base in [(24, 6)]}
    expected = {
        "model.token_position_embeddings.pp_block.token_embedding.weight": (1, 1),
        "model.final_norm.pp_block.weight": (1 / 4, 1 / 4),
        "model.final_norm.pp_block.bias": (1 / 4, 1 / 4),
        f"{BLOCK}.attention.qkv.query.key_tokens": (1 / 2, 1 / 4),
        f"{BLOCK}.attention.qkv.query.value_tokens": (spread[24, 6], 1 / 4),
        f"{BLOCK}.attention.qkv.query.tau": (1, 2),
        f"{BLOCK}.attention.output.key_tokens": (1 / 2, 1 / 4),
        f"{BLOCK}.attention.output.value_tokens": (spectral_spread(7, 64) / spectral_spread(7, 16), 1),
        f"{BLOCK}.feed_forward.pattention.value_tokens": (spectral_spread(20, 64) / spectral_spread(10, 16), 1 / 2),
    }
    for name, (initial, rate) in expected.items():
        assert scale_of(name, config).initial == pytest.approx(initial), name
        assert scale_of(name, config).learning_rate == pytest.approx(rate), name


def test_factors_of_ordinary_layers_follow_the_table():
    config = plain_config(**TRANSFER, **LAYERS["ordinary"] | {"swiglu_width": 48}, hidden_size=64)
    for module in ("attention.qkv.query", "attention.qkv.value", "attention.output", "feed_forward.gate"):
        assert scale_of(f"{BLOCK}.{module}.weight", config) == Scale(1 / 2, 1 / 4), module
    down = Scale(spectral_spread(48, 64) / spectral_spread(12, 16), 1 / 4)
    assert scale_of(f"{BLOCK}.feed_forward.down.weight", config) == down
    assert scale_of("model.lm_head.pp_block.weight", config) == Scale(1 / 4, 1 / 4)
    assert scale_of("model.final_norm.pp_block.weight", config) == Scale()


def test_only_the_total_of_tokens_counts_and_every_layer_has_its_own():
    whole = plain_config(**TRANSFER, qkv_tokens=24)
    parts = plain_config(**TRANSFER, qkv_tokens=[TokenSegment(6, 2.0), TokenSegment(18, 4.0)])
    name = f"{BLOCK}.attention.qkv.key.value_tokens"
    assert scale_of(name, parts) == scale_of(name, whole)
    grown = AppendTokens(factor=2, layers=[1]).grown_config(plain_config(**TRANSFER))
    rates = [scale_of(name.replace("decoder.0", f"decoder.{layer}"), grown).learning_rate for layer in (0, 1)]
    assert rates == [1.0, 0.5]


def test_the_spectral_spread_gives_that_norm():
    generator = torch.Generator().manual_seed(0)
    for inputs, outputs in ((300, 100), (100, 300), (200, 200)):
        matrix = torch.randn(inputs, outputs, generator=generator) * spectral_spread(inputs, outputs)
        norm = torch.linalg.matrix_norm(matrix, 2).item()
        assert norm == pytest.approx(math.sqrt(outputs / inputs), rel=0.05)


@pytest.mark.parametrize("layers", LAYERS.values(), ids=LAYERS)
@pytest.mark.parametrize("operator", [HyperCloning(2), HyperCloning(2, 3), HyperCloning(1, 4), StackLayers()], ids=str)
def test_growth_by_copies_multiplies_rates_as_its_own_law_does(operator, layers):
    before = plain_config(**TRANSFER, **layers)
    after = operator.grown_config(before)
    for name in names_of(after):
        growth = growth_of(operator, name, before, after)
        factor = scale_of(name, after).learning_rate / scale_of(growth.sources[0], before).learning_rate
        assert factor == pytest.approx(growth.learning_rate_factor), name


@pytest.mark.parametrize("segments", [6, [TokenSegment(6, 2.0), TokenSegment(2, 3.0)]])
def test_cloned_tokens_multiply_rates_as_their_own_law_does(segments):
    operator, before = (
        AppendTokens(factor=3, new_tokens="clone"),
        plain_config(**TRANSFER, tau="learned", qkv_tokens=segments),
    )
    after = operator.grown_config(before)
    for name in names_of(after):
        factor = scale_of(name, after).learning_rate / scale_of(name, before).learning_rate
        assert factor == pytest.approx(growth_of(operator, name, before, after).learning_rate_factor), name


@pytest.mark.parametrize("initialization", ["official", "fan_in"])
def test_initial_weights_have_the_factors(tokenformer_config, build, initialization):
    sizes = {"hidden_size": 96, "qkv_tokens": 80, "output_tokens": 60, "feed_forward_tokens": 200, "vocab_size": 400}
    options = {"initialization": initialization, "num_hidden_layers": 1}
    base = BaseSize(24, 40, 60, 50)
    small = build(
        tokenformer_config(**{**sizes, "hidden_size": 24, "qkv_tokens": 40, "feed_forward_tokens": 50}, **options),
        std=0.03,
    )
    config = tokenformer_config(**sizes, **options, parametrization="transfer", base_size=base)
    at_base = {name: parameter.detach() for name, parameter in small.named_parameters()}
    for name, parameter in build(config, std=0.03).named_parameters():
        root_mean_squares = [tensor.detach().square().mean().sqrt().item() for tensor in (parameter, at_base[name])]
        expected = root_mean_squares[1] * scale_of(name, config).initial
        assert root_mean_squares[0] == pytest.approx(expected, rel=0.06), name


def test_at_the_base_size_initial_weights_are_bit_for_bit_those_of_standard(tokenformer_config, build):
    base = BaseSize(24, 10, 14, 20)
    for initialization in ("official", "fan_in"):
        standard = dict(build(tokenformer_config(initialization=initialization)).named_parameters())
        config = tokenformer_config(initialization=initialization, parametrization="transfer", base_size=base)
        for name, parameter in build(config).named_parameters():
            assert torch.equal(parameter, standard[name]), name
