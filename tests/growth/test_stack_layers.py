"""stack_layers on whole models: which layers the grown one has, what it computes, and what is refused."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.cases import refused
from tests.support.growth.plain_models import (
    IDS,
    LlamaConfig,
    change,
    grown,
    grown_moment,
    growth_of,
    logits,
    parameter_names,
    random_parameters,
    tokenformer_config,
)
from tokenformer.errors import UserError
from tokenformer.growth.append_tokens import AppendTokens
from tokenformer.growth.stack_layers import GrownLayer, StackLayers
from tokenformer.model.config import LayerTokens
from tokenformer.model.flops import tokenformer_size

OWN_TOKENS = [LayerTokens(1, feed_forward_tokens=5)]
ORDINARY = {"qkv_layer": "linear", "output_layer": "linear", "feed_forward_layer": "swiglu", "swiglu_width": 20}
CONFIGS = {
    "llama": LlamaConfig(num_hidden_layers=3, tie_word_embeddings=False),
    "tokenformer": tokenformer_config(
        num_hidden_layers=3, layer_tokens=OWN_TOKENS, tau="learned", block_norm_affine=True
    ),
    "ordinary layers": tokenformer_config(num_hidden_layers=3, **ORDINARY),
}
ORDERS = {
    "stack": (StackLayers(), [0, 1, 2, 0, 1, 2], [3, 4, 5]),
    "stack 3": (StackLayers(3), [0, 1, 2] * 3, [3, 4, 5, 6, 7, 8]),
    "interleave": (StackLayers(order="interleave"), [0, 0, 1, 1, 2, 2], [1, 3, 5]),
    "last 2": (StackLayers(order="last", layers=2), [0, 1, 2, 1, 2], [3, 4]),
    "last 1, three times": (StackLayers(3, "last", 1), [0, 1, 2, 2, 2], [3, 4]),
}


def zero_gated(operator: StackLayers) -> StackLayers:
    return StackLayers(operator.factor, operator.order, operator.layers, zero_gated=True)


@pytest.mark.parametrize("order", ORDERS)
def test_the_orders(order):
    operator, sources, copies = ORDERS[order]
    expected = [GrownLayer(source, index in copies) for index, source in enumerate(sources)]
    assert operator.grown_layers(3) == expected


orders = st.one_of(
    st.builds(StackLayers, st.integers(2, 4), st.sampled_from(["stack", "interleave"]), zero_gated=st.booleans()),
    st.builds(StackLayers, st.integers(2, 4), st.just("last"), st.integers(1, 3), st.booleans()),
)


@given(operator=orders, layers=st.integers(3, 6), own=st.integers(0, 2))
def test_old_layers_keep_their_order_and_every_layer_has_the_size_of_its_source(operator, layers, own):
    config = tokenformer_config(num_hidden_layers=layers, layer_tokens=[LayerTokens(own, output_tokens=5)])
    grown_layers, after = operator.grown_layers(layers), operator.grown_config(config)
    assert [layer.source for layer in grown_layers if not layer.is_copy] == list(range(layers))
    for source in range(layers):
        times = [layer.source for layer in grown_layers].count(source)
        assert times == (1 if operator.layers and source < layers - operator.layers else operator.factor)
    assert after.num_hidden_layers == len(grown_layers)
    for index, layer in enumerate(grown_layers):
        assert after.segments("output", index) == config.segments("output", layer.source)
    size = tokenformer_size(config)
    without_layers = size.parameters - size.block_matrix_parameters
    block = [size_of_layer(config, layer.source) for layer in grown_layers]
    assert tokenformer_size(after).parameters == without_layers + sum(block)


def size_of_layer(config, layer: int) -> int:
    """Parameters of the tokens of one layer of 16 features with 8 of keys and values."""
    return sum(config.tokens("qkv", layer) * width for width in (32, 24, 24)) + 32 * (
        config.tokens("output", layer) + config.tokens("feed_forward", layer)
    )


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_every_layer_is_its_source(config, order):
    operator, sources, _ = ORDERS[order]
    parameters = random_parameters(config)
    stacked, after = grown(operator, config, parameters)
    assert after.num_hidden_layers == len(sources)
    assert stacked.keys() == set(parameter_names(after))
    for name, tensor in stacked.items():
        before, decoder, rest = name.partition(".decoder.")
        layer, _, inner = rest.partition(".")
        source = f"{before}.decoder.{sources[int(layer)]}.{inner}" if decoder else name
        assert torch.equal(tensor, parameters[source])
    assert not operator.is_exact(config)
    assert change((parameters, config), (stacked, after)) > 1e-2


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_zero_gated_copies_keep_the_function_and_learn(config, order):
    operator, copies = zero_gated(ORDERS[order][0]), ORDERS[order][2]
    parameters = random_parameters(config)
    stacked, after = grown(operator, config, parameters)
    assert operator.is_exact(config)
    assert change((parameters, config), (stacked, after)) < 1e-14
    zero = {name for name, tensor in stacked.items() if not tensor.any()}
    assert len(zero) == 2 * len(copies)
    leaves = {name: tensor.clone().requires_grad_() for name, tensor in stacked.items()}
    logits(leaves, after, IDS).square().mean().backward()
    assert all(leaves[name].grad.any() for name in zero)


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_moments_are_the_sources_or_zero_where_nothing_can_learn_yet(config):
    plain, gated = StackLayers(), StackLayers(zero_gated=True)
    after = plain.grown_config(config)
    for name in parameter_names(after):
        (source,) = growth_of(plain, name, config, after).sources
        old = {source: torch.randn(4, 3)}
        is_copy = any(f".decoder.{layer}." in name for layer in (3, 4, 5))
        assert torch.equal(grown_moment(plain, name, old, 2, config, after), old[source])
        assert grown_moment(gated, name, old, 2, config, after).any() != is_copy
        for operator in (plain, gated):
            growth = growth_of(operator, name, config, after)
            assert (growth.new_elements().item(), growth.learning_rate_factor) == (is_copy, 1)


more_tokens = st.sampled_from(["zero_values", "zero_keys", "clone"])


@settings(max_examples=20)
@given(
    first=more_tokens,
    last=more_tokens,
    tau=st.sampled_from(["fixed", "learned"]),
    order=st.sampled_from(["stack", "interleave"]),
    seed=st.integers(0, 99),
)
def test_tokens_then_depth_then_tokens(first, last, tau, order, seed):
    config = tokenformer_config(tau=tau, layer_tokens=OWN_TOKENS)
    model = random_parameters(config, seed), config
    deeper = StackLayers(order=order, zero_gated=True)
    for operator in (AppendTokens(new_tokens=first), deeper, AppendTokens(new_tokens=last)):
        before, model = model, grown(operator, model[1], model[0])
        assert change(before, model) < 1e-12
        shift = torch.Generator().manual_seed(seed)
        noise = {name: torch.randn(old.shape, generator=shift, dtype=old.dtype) for name, old in model[0].items()}
        model = {name: old + 0.05 * noise[name] for name, old in model[0].items()}, model[1]
    assert (model[1].num_hidden_layers, model[1].tokens("qkv", 3)) == (4, 24)
    assert model[1].tokens("feed_forward", 1 if order == "stack" else 2) == 20


@refused(
    ({"factor": 1}, "factor is 1; "),
    ({"factor": 1.5}, "factor is 1.5"),
    ({"order": "shuffle"}, "choose one of stack, interleave, last"),
    ({"order": "last"}, "layers says how many"),
    ({"layers": 2}, "layers says how many"),
    ({"order": "last", "layers": 0}, "1 or more"),
)
def test_wrong_settings_are_refused(parameters):
    StackLayers(**parameters)


def test_more_layers_than_there_are_cannot_be_repeated():
    with pytest.raises(UserError, match="layers is 3, and the model has 2"):
        StackLayers(order="last", layers=3).grown_config(LlamaConfig())
