"""hypercloning on whole models: the function that they compute, in float64, and what is refused."""

import copy
import dataclasses
import itertools
import math
import warnings
from types import SimpleNamespace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.cases import cases
from tests.support.growth.plain_models import (
    EMBEDDING,
    HEAD,
    IDS,
    LlamaConfig,
    change,
    grown,
    growth_of,
    logits,
    parameter_names,
    random_parameters,
    tokenformer_config,
)
from tokenformer.config.added_sections import Growth
from tokenformer.errors import UserError
from tokenformer.growth.append_tokens import AppendTokens
from tokenformer.growth.hypercloning import HyperCloning
from tokenformer.growth.policy import growth_policy
from tokenformer.model.config import LayerTokens, TokenSegment
from tokenformer.model.flops import llama_size, tokenformer_size

LAYERS = {
    "pattention": {},
    "segments": {
        "qkv_tokens": [TokenSegment(3, 1.0), TokenSegment(4, 2.0)],
        "feed_forward_tokens": [TokenSegment(10, 3.0), TokenSegment(4, 2.0)],
        "layer_tokens": [LayerTokens(1, feed_forward_tokens=5)],
    },
    "ordinary": {"qkv_layer": "linear", "output_layer": "linear", "feed_forward_layer": "swiglu", "swiglu_width": 20},
}
FACTORS = [(1, 2), (2, 1), (2, 2), (3, 3), (2, 3), (4, 2)]


def largest_change(before, after) -> float:
    """Of a logit, relative to the largest of them; of two models as above."""
    expected = logits(*before, IDS)
    return ((logits(*after, IDS) - expected).abs().max() / expected.abs().max()).item()


def operators(width: int, feed_forward: int, **settings):
    """Both kinds, where there are both, with noise and without."""
    kinds = ["symmetric", "diagonal"] if width == feed_forward or 1 in (width, feed_forward) else ["symmetric"]
    return [
        HyperCloning(width, feed_forward, noise_db=noise, kind=kind, **settings)
        for kind, noise in itertools.product(kinds, (None, 10.0, 0.0))
    ]


@pytest.mark.parametrize("factors", FACTORS, ids=str)
@pytest.mark.parametrize("tied", ["final_norm", "untie", None])
@pytest.mark.parametrize("key_value_heads", [1, 2, 4])
def test_a_llama_keeps_its_function(key_value_heads, tied, factors):
    config = LlamaConfig(num_key_value_heads=key_value_heads, tie_word_embeddings=tied is not None)
    parameters = random_parameters(config)
    for operator in operators(*factors, tied_embeddings=tied or "final_norm"):
        assert operator.is_exact(config)
        assert change((parameters, config), grown(operator, config, parameters)) < 1e-12


@pytest.mark.parametrize("factors", [(2, 2), (2, 1), (1, 2), (3, 3), (4, 2)], ids=str)
@pytest.mark.parametrize("tied", ["final_norm", "untie", None])
@pytest.mark.parametrize("key_value_heads", [1, 2, 4])
def test_in_fp32_the_logits_of_a_llama_move_by_rounding_alone(key_value_heads, tied, factors):
    config = LlamaConfig(num_key_value_heads=key_value_heads, tie_word_embeddings=tied is not None)
    source = random_parameters(config, dtype=torch.float32), config
    for noise_db in (None, 40.0, 10.0, 0.0):
        operator = HyperCloning(*factors, noise_db=noise_db, tied_embeddings=tied or "final_norm")
        clone = grown(operator, config, source[0])
        assert max(change(source, clone), largest_change(source, clone)) < 1e-5


@settings(max_examples=80)
@given(
    factors=st.sampled_from(FACTORS),
    layers=st.sampled_from(list(LAYERS)),
    norm=st.sampled_from(["layer_norm", "rms_norm"]),
    tied=st.sampled_from(["final_norm", "untie"]),
    data=st.fixed_dictionaries(
        {
            "theta": st.sampled_from(["l2_norm_gelu", "gelu_l2_norm", "softmax"]),
            "tau": st.sampled_from(["fixed", "learned", "current"]),
            "num_key_value_heads": st.sampled_from([1, 2, 4]),
            "tie_word_embeddings": st.booleans(),
            "block_norm_affine": st.booleans(),
            "rotary_fraction": st.sampled_from([0.0, 0.5, 1.0]),
            "pattention_eps": st.sampled_from([0.0, 1e-6, 0.1]),
        }
    ),
)
def test_a_tokenformer_keeps_its_function(factors, layers, norm, tied, data):
    config = tokenformer_config(block_norm=norm, final_norm=norm, **LAYERS[layers], **data)
    parameters = random_parameters(config)
    for operator in operators(*factors, tied_embeddings=tied):
        assert operator.is_exact(config)
        assert change((parameters, config), grown(operator, config, parameters)) < 1e-12


@pytest.mark.parametrize("noise_db", [None, 10.0, 0.0])
@pytest.mark.parametrize("config", [LlamaConfig(), tokenformer_config()], ids=["llama", "tokenformer"])
def test_in_bf16_a_clone_is_as_close_to_the_function_as_its_source(config, noise_db):
    parameters = random_parameters(config, dtype=torch.bfloat16)
    clone, after = grown(HyperCloning(noise_db=noise_db), config, parameters)
    assert all(tensor.dtype == torch.bfloat16 for tensor in clone.values())
    exact = logits({name: tensor.double() for name, tensor in parameters.items()}, config, IDS)
    of_source, of_clone = (
        ((logits(*model, IDS).double() - exact).norm() / exact.norm()).item()
        for model in ((parameters, config), (clone, after))
    )
    assert 1e-3 < of_clone < 2 * of_source < 0.1


@pytest.mark.parametrize("tau", ["fixed", "learned"])
def test_growth_of_several_kinds_may_follow_one_another(tau):
    config = tokenformer_config(tau=tau)
    model = random_parameters(config), config
    start, trained = model, torch.Generator().manual_seed(3)
    for operator in (AppendTokens(), HyperCloning(), AppendTokens(new_tokens="zero_keys"), HyperCloning(1, 3)):
        before = model
        model = grown(operator, model[1], model[0])
        assert change(before, model) < 1e-12
        noise = {name: 0.05 * torch.randn(old.shape, generator=trained).double() for name, old in model[0].items()}
        model = {name: old + noise[name] for name, old in model[0].items()}, model[1]
    assert change(start, model) > 1e-3


def test_the_grown_llama_config():
    config = LlamaConfig(num_key_value_heads=2)
    kept = copy.deepcopy(config)
    after = HyperCloning(3, 2).grown_config(config)
    assert after == dataclasses.replace(
        config, hidden_size=48, intermediate_size=48, num_attention_heads=12, num_key_value_heads=6
    )
    assert config == kept
    assert HyperCloning(tied_embeddings="untie").grown_config(config).tie_word_embeddings is False
    assert HyperCloning().grown_config(config).tie_word_embeddings is True
    assert HyperCloning().grown_config(config).intermediate_size == 2 * config.intermediate_size


def test_a_single_key_and_value_head_stays_single():
    after = HyperCloning(3).grown_config(LlamaConfig(num_key_value_heads=1))
    assert (after.num_attention_heads, after.num_key_value_heads) == (12, 1)


def test_the_grown_tokenformer_config():
    config = tokenformer_config(**LAYERS["segments"])
    kept = copy.deepcopy(config)
    after = HyperCloning(2, 4).grown_config(config)
    assert after.segments("feed_forward") == [TokenSegment(40, 6.0), TokenSegment(16, 4.0)]
    assert after.segments("feed_forward", 1) == [TokenSegment(20, math.sqrt(20))]
    assert after.segments("qkv") == config.segments("qkv") and after.segments("output") == config.segments("output")
    assert (after.hidden_size, after.head_size, after.rotary_size) == (32, config.head_size, config.rotary_size)
    assert config == kept
    assert HyperCloning(2, 3).grown_config(tokenformer_config(**LAYERS["ordinary"])).swiglu_width == 60


@cases(
    (LlamaConfig(), llama_size),
    (LlamaConfig(num_key_value_heads=1), llama_size),
    *[(tokenformer_config(tau="learned", **layers), tokenformer_size) for layers in LAYERS.values()],
)
def test_every_parameter_of_the_grown_config_is_made_in_its_shape(config, size):
    for tied in ("final_norm", "untie"):
        operator = HyperCloning(2, 3, tied_embeddings=tied)
        parameters, after = grown(operator, config, random_parameters(config))
        expected = {name: tensor.shape for name, tensor in random_parameters(after).items()}
        assert {name: tensor.shape for name, tensor in parameters.items()} == expected
        assert sum(tensor.numel() for tensor in parameters.values()) == size(after).parameters


@pytest.mark.parametrize("config", [LlamaConfig(), tokenformer_config(tau="learned", **LAYERS["segments"])])
def test_new_parts_are_what_lies_outside_the_first_copy(config):
    operator = HyperCloning(2, 3, noise_db=None)
    old = random_parameters(config)
    parameters, after = grown(operator, config, old)
    for name in parameter_names(after):
        growth = growth_of(operator, name, config, after)
        new = growth.new_elements().expand(parameters[name].shape)
        torch.testing.assert_close(parameters[name][~new], old[name].flatten() * growth.learning_rate_factor)


def factor(operator, name: str, config) -> float:
    return growth_of(operator, name, config, operator.grown_config(config)).learning_rate_factor


def test_learning_rates_follow_the_table():
    config = LlamaConfig()
    operator, block = HyperCloning(2, 4), "model.decoder.0.pp_block"
    expected = {
        EMBEDDING: 1,
        f"{block}.input_layernorm.weight": 1,
        f"{block}.attn.qkv_proj.weight": 1 / 2,
        f"{block}.attn.o_proj.weight": 1 / 2,
        f"{block}.post_attention_layernorm.weight": 1,
        f"{block}.mlp.gate_up_proj.weight": 1 / 2,
        f"{block}.mlp.down_proj.weight": 1 / 4,
        "model.final_layer_norm.pp_block.weight": 1 / 2,
        HEAD: 1 / 2,
    }
    assert {name: factor(operator, name, config) for name in expected} == expected
    own_head = dataclasses.replace(config, tie_word_embeddings=False)
    assert factor(operator, "model.final_layer_norm.pp_block.weight", own_head) == 1
    tokenformer = tokenformer_config(tau="learned")
    of_feed_forward = {
        kind: factor(operator, f"{block}.feed_forward.pattention.{kind}", tokenformer)
        for kind in ("key_tokens", "value_tokens", "tau")
    }
    assert of_feed_forward == {"key_tokens": 1 / 2, "value_tokens": 1 / 4, "tau": 2}
    of_query = {
        kind: factor(operator, f"{block}.attention.qkv.query.{kind}", tokenformer)
        for kind in ("key_tokens", "value_tokens", "tau")
    }
    assert of_query == {"key_tokens": 1 / 2, "value_tokens": 1, "tau": 1}


def test_what_is_drawn_depends_on_seed_stage_and_name_alone():
    config = LlamaConfig()
    old = random_parameters(config)
    names = [f"model.decoder.{layer}.pp_block.attn.o_proj.weight" for layer in (0, 1)]
    old[names[1]] = old[names[0]]

    def drawn(**of_context) -> list[torch.Tensor]:
        parameters, _ = grown(HyperCloning(), config, old, **of_context)
        return [parameters[name] for name in names]

    state = torch.get_rng_state()
    first = drawn()
    torch.manual_seed(1)
    assert all(torch.equal(a, b) for a, b in zip(first, drawn(), strict=True))
    torch.set_rng_state(state)
    different = torch.stack([*first, *drawn(stage=2), *drawn(seed=6)])
    assert len(different.flatten(1).unique(dim=0)) == 6


@cases(
    ({"width": 1.5}, "width is 1.5; it must be of type int"),
    ({"width": 2.0}, "width is 2.0"),
    ({"width": True}, "width is True"),
    ({"width": 0}, "width is 0"),
    ({"feed_forward": -1}, "feed_forward is -1"),
    ({"width": 1}, "width 1 and feed_forward 1 leave the model as it is"),
    ({"width": 1, "feed_forward": 1}, "leave the model as it is"),
    ({"kind": "random"}, "kind is 'random'; choose one of symmetric, diagonal"),
    ({"tied_embeddings": "tie"}, "tied_embeddings is 'tie'; choose one of final_norm, untie"),
    ({"noise_db": math.inf}, "noise_db is inf; it must be a finite number"),
    ({"noise_db": math.nan}, "noise_db is nan"),
    ({"kind": "diagonal", "feed_forward": 3}, "width 2 and feed_forward 3 must be equal, or one of them 1"),
)
def test_settings_that_make_no_sense_are_refused(settings, message):
    with pytest.raises(UserError, match="hypercloning: .*" + message):
        HyperCloning(**settings)


def test_another_model_is_refused():
    with pytest.raises(UserError, match="llama and tokenformer only; SimpleNamespace is another model"):
        HyperCloning().grown_config(SimpleNamespace(is_starcoder2_config=True, num_key_value_heads=1))


def test_an_unknown_parameter_is_refused():
    for config in (LlamaConfig(), tokenformer_config()):
        with pytest.raises(ValueError, match="knows no parameter model.decoder.0.pp_block.attn.bias_proj.weight"):
            factor(HyperCloning(), "model.decoder.0.pp_block.attn.bias_proj.weight", config)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_noise_louder_than_the_weights_is_refused_in_16_bits(dtype):
    with pytest.raises(UserError, match="noise_db -1 makes noise louder .* use 0 or more, or model.dtype float32"):
        HyperCloning(noise_db=-1).check_dtype(dtype)
    for noise in (None, 0.0, 10.0):
        HyperCloning(noise_db=noise).check_dtype(dtype)


def test_noise_louder_than_the_weights_is_a_warning_in_fp32():
    with pytest.warns(UserWarning, match="noise_db -6.0 makes noise louder than the weights"):
        HyperCloning(noise_db=-6.0).check_dtype("float32")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        HyperCloning().check_dtype("float32")
        HyperCloning(noise_db=-6.0).check_dtype("float64")


def test_a_config_chooses_it_for_either_model():
    section = Growth(
        trigger={"name": "schedule", "steps": [5]},
        operators={
            "llama": {"name": "hypercloning", "width": 3, "noise_db": None},
            "tokenformer": {"name": "hypercloning", "noise_db": 10, "tied_embeddings": "untie"},
        },
    )
    assert growth_policy(section, "llama", "run.yaml").operator_of(1) == HyperCloning(3, noise_db=None)
    expected = HyperCloning(noise_db=10.0, tied_embeddings="untie")
    assert growth_policy(section, "tokenformer", "run.yaml").operator_of(1) == expected


@pytest.mark.parametrize("parameters", [{"width": 1.5}, {"width": 1}, {"noise": 3}])
def test_a_mistake_in_a_config_names_the_file_and_the_section(parameters):
    section = Growth(
        trigger={"name": "schedule", "steps": [5]}, operators={"llama": {"name": "hypercloning", **parameters}}
    )
    with pytest.raises(UserError, match="^run.yaml: .*growth.operators.llama"):
        growth_policy(section, "llama", "run.yaml")
