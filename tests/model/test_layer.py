"""Pattention as an ordinary layer."""

import copy
import math

import pytest
import torch

from tokenformer import Pattention
from tokenformer.kernels import pattention

VARIANTS = ["l2_norm_gelu", "gelu_l2_norm", "softmax"]


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


@pytest.mark.parametrize("variant", VARIANTS)
def test_it_computes_what_the_kernel_computes(variant):
    layer, x = Pattention(6, 5, 9, variant=variant), torch.randn(2, 3, 6)
    expected = pattention(x, layer.key_tokens, layer.value_tokens, tau=3.0, variant=variant, backend="reference")
    torch.testing.assert_close(layer(x), expected)


@pytest.mark.parametrize("learned_tau", [False, True])
@pytest.mark.parametrize("variant", VARIANTS)
def test_growth_keeps_the_function_and_new_tokens_learn(variant, learned_tau):
    layer = Pattention(6, 5, 8, variant=variant, learned_tau=learned_tau).double()
    x = torch.randn(4, 6, dtype=torch.float64)
    before = layer(x)
    layer.grow(4)
    layer.grow(12)
    torch.testing.assert_close(layer(x), before, rtol=1e-12, atol=1e-12)
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.1)
    start = copy.deepcopy(layer.state_dict())
    for _ in range(2):
        optimizer.zero_grad()
        layer(x).square().sum().backward()
        optimizer.step()
    for name in ("key_tokens", "value_tokens"):
        changed = (layer.state_dict()[name] != start[name]).any(-1)
        assert changed.all()


def test_growing_by_nothing_is_the_identity_and_shrinking_is_refused():
    layer = Pattention(4, 4, 4)
    keys = layer.key_tokens
    layer.grow(0)
    assert layer.key_tokens is keys
    with pytest.raises(ValueError, match="cannot grow by -1"):
        layer.grow(-1)


def test_a_grown_layer_loads_into_one_of_the_first_size():
    grown, fresh = Pattention(6, 5, 8, learned_tau=True), Pattention(6, 5, 8, learned_tau=True)
    grown.grow(8)
    fresh.load_state_dict(grown.state_dict())
    x = torch.randn(3, 6)
    assert torch.equal(fresh(x), grown(x))
    assert fresh.segments.tolist() == [8, 8]


def test_other_features_do_not_load():
    with pytest.raises(RuntimeError, match="size mismatch"):
        Pattention(6, 5, 8).load_state_dict(Pattention(7, 5, 8).state_dict())


def test_a_linear_layer_costs_as_much_at_the_stated_number_of_tokens():
    tokens = 24 * 48 // (24 + 48)
    layer = Pattention(24, 48, tokens)
    assert layer.key_tokens.numel() + layer.value_tokens.numel() == 24 * 48
    assert layer.tau.item() == pytest.approx(math.sqrt(tokens))
