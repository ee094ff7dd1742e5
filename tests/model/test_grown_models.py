"""Exact growth through the models as Nanotron builds and trains them, in fp32."""

import pytest
import torch
from nanotron.config import LlamaConfig

from tests.support.growth.plain_models import grown
from tokenformer.growth.append_tokens import AppendTokens
from tokenformer.growth.hypercloning import HyperCloning
from tokenformer.growth.stack_layers import StackLayers
from tokenformer.model.flops import model_size

LAYERS = {
    "pattention": {"tau": "learned"},
    "ordinary": {"qkv_layer": "linear", "output_layer": "linear", "feed_forward_layer": "swiglu", "swiglu_width": 40},
}
OPERATORS = {
    "as it comes": HyperCloning(),
    "authors": HyperCloning(2, 3, noise_db=10.0, tied_embeddings="untie"),
    "diagonal": HyperCloning(3, noise_db=None, kind="diagonal"),
    "deeper": StackLayers(zero_gated=True),
    "deeper, in turn": StackLayers(3, "interleave", zero_gated=True),
}
TOKENS = {
    "zero values": AppendTokens(1.5),
    "zero keys": AppendTokens(count=3, new_tokens="zero_keys", layers=[1]),
    "clones": AppendTokens(3, output={"to": 28}, new_tokens="clone"),
}


@pytest.fixture
def llama_config(parallel_context):
    def make(**changes):
        sizes = {"hidden_size": 32, "intermediate_size": 40, "num_hidden_layers": 2, "num_attention_heads": 4}
        return LlamaConfig(**{**sizes, "vocab_size": 50, "max_position_embeddings": 16, **changes})

    return make


def logits_of(model, ids: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return model.model(input_ids=ids, input_mask=torch.ones_like(ids, dtype=torch.bool))


def check(build, random_model, batch, config, operator) -> None:
    old, ids = random_model(config), batch(config)["input_ids"]
    parameters = {name: parameter.detach() for name, parameter in old.get_named_params_with_correct_tied()}
    before = logits_of(old, ids)
    new = build(operator.grown_config(config))
    places = dict(new.get_named_params_with_correct_tied())
    weights, after = grown(operator, config, parameters, names=places)
    for name, parameter in places.items():
        assert weights[name].shape == parameter.shape, name
        with torch.no_grad():
            parameter.copy_(weights[name])
    assert before.std() > 0.5
    assert (logits_of(new, ids) - before).abs().max() < 1e-5 * before.abs().max()
    assert (
        sum(parameter.numel() for _, parameter in new.get_named_params_with_correct_tied())
        == model_size(after).parameters
    )


@pytest.mark.parametrize("operator", OPERATORS.values(), ids=OPERATORS.keys())
@pytest.mark.parametrize("tied", [True, False], ids=["tied", "own head"])
@pytest.mark.parametrize("key_value_heads", [1, 2, 4])
def test_nanotrons_llama_keeps_its_function(build, random_model, batch, llama_config, key_value_heads, tied, operator):
    config = llama_config(num_key_value_heads=key_value_heads, tie_word_embeddings=tied)
    check(build, random_model, batch, config, operator)


@pytest.mark.parametrize("operator", OPERATORS.values(), ids=OPERATORS.keys())
@pytest.mark.parametrize("tied", [True, False], ids=["tied", "own head"])
@pytest.mark.parametrize("layers", LAYERS.values(), ids=LAYERS.keys())
def test_the_tokenformer_keeps_its_function(build, random_model, batch, tokenformer_config, layers, tied, operator):
    config = tokenformer_config(tie_word_embeddings=tied, block_norm_affine=True, num_key_value_heads=1, **layers)
    check(build, random_model, batch, config, operator)


@pytest.mark.parametrize("operator", TOKENS.values(), ids=TOKENS.keys())
@pytest.mark.parametrize("tau", ["fixed", "learned"])
def test_the_tokenformer_keeps_its_function_with_more_tokens(
    build, random_model, batch, tokenformer_config, tau, operator
):
    check(build, random_model, batch, tokenformer_config(tau=tau), operator)
