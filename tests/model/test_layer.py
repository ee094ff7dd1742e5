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


def train(layer, optimizer, x, steps: int) -> list[float]:
    """The loss before each step."""
    losses = []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = (layer(x) - 1).square().mean()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


OPTIMIZERS = {
    "AdamW": lambda groups: torch.optim.AdamW(groups, lr=1e-2, amsgrad=True),
    "SGD with momentum": lambda groups: torch.optim.SGD(groups, lr=0.1, momentum=0.9),
    "RMSprop": lambda groups: torch.optim.RMSprop(groups, lr=1e-3),
    "Rprop": lambda groups: torch.optim.Rprop(groups, lr=1e-2),
    "ASGD": lambda groups: torch.optim.ASGD(groups, lr=0.1),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_an_optimizer_goes_on_after_growth(name):
    """Old tokens learn as in a layer that did not grow, since new ones are silent at first; then new ones learn too."""
    layer, x = Pattention(6, 5, 8, learned_tau=True).double(), torch.randn(4, 6, dtype=torch.float64)
    groups = [{"params": [layer.key_tokens]}, {"params": [layer.value_tokens, layer.tau], "weight_decay": 0.0}]
    optimizer = OPTIMIZERS[name](groups)
    train(layer, optimizer, x, 3)
    twin, twin_optimizer = copy.deepcopy((layer, optimizer))
    kept = {name: copy.deepcopy(optimizer.state[param]) for name, param in layer.named_parameters()}
    layer.grow(4, optimizer=optimizer)
    assert [group["params"] for group in optimizer.param_groups] == [
        [layer.key_tokens],
        [layer.value_tokens, layer.tau],
    ]
    for name, param in layer.named_parameters():
        for key, old in kept[name].items():
            new = optimizer.state[param][key]
            old_rows = new[: len(old)] if getattr(old, "ndim", 0) else new
            assert old_rows is old is None or torch.equal(torch.as_tensor(old_rows), torch.as_tensor(old))
    assert train(layer, optimizer, x, 1) == pytest.approx(train(twin, twin_optimizer, x, 1), rel=1e-12)
    for name, param in layer.named_parameters():
        old = twin.get_parameter(name)
        torch.testing.assert_close(param[: len(old)], old, rtol=1e-12, atol=1e-14)
    losses = train(layer, optimizer, x, 5)
    assert losses[-1] < losses[0] and (layer.value_tokens[8:] != 0).all()


def test_a_step_that_would_train_nothing_raises():
    layer = Pattention(6, 5, 8)
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.1)
    layer.grow(4)
    with pytest.raises(
        RuntimeError, match=r"before a Pattention layer grew.*layer.grow\(tokens, optimizer=optimizer\)"
    ):
        optimizer.step()
    torch.optim.SGD(layer.parameters(), lr=0.1).step()


def test_an_optimizer_that_cannot_go_on_is_refused_before_anything_changes():
    layer, x = Pattention(6, 5, 8), torch.randn(4, 6)
    factored = torch.optim.Adafactor(layer.parameters())
    train(layer, factored, x, 1)
    for optimizer, message in (
        (torch.optim.SGD([torch.zeros(2, requires_grad=True)], lr=0.1), "does not hold key_tokens"),
        (factored, "Adafactor keeps a row_var that is not of the shape of key_tokens"),
    ):
        with pytest.raises(ValueError, match=message):
            layer.grow(4, optimizer=optimizer)
    assert layer.segments.tolist() == [8]
    train(layer, factored, x, 1)


def test_frozen_parameters_stay_frozen():
    layer, fresh = Pattention(6, 5, 8, learned_tau=True), Pattention(6, 5, 8, learned_tau=True)
    for module in (layer, fresh):
        module.key_tokens.requires_grad_(False)
    optimizer = torch.optim.SGD([param for param in layer.parameters() if param.requires_grad], lr=0.1)
    layer.grow(4, optimizer=optimizer)
    fresh.load_state_dict(layer.state_dict())
    for module in (layer, fresh):
        found = {name: param.requires_grad for name, param in module.named_parameters()}
        assert found == {"key_tokens": False, "value_tokens": True, "tau": True}


def grown_layer(variant: str = "l2_norm_gelu") -> Pattention:
    """In float64, with two segments, all of whose tokens speak."""
    layer = Pattention(4, 3, 5, variant=variant, learned_tau=True).double()
    layer.grow(3)
    torch.nn.init.normal_(layer.value_tokens)
    return layer


def of_parameters(layer):
    """The layer as a function of its parameters and x."""
    return lambda parameters, x: torch.func.functional_call(layer, parameters, (x,))


@pytest.mark.parametrize("variant", VARIANTS)
def test_gradients_are_those_of_finite_differences(variant):
    layer, x = grown_layer(variant), torch.randn(2, 4, dtype=torch.float64, requires_grad=True)
    names, tensors = zip(*layer.named_parameters(), strict=True)
    function = of_parameters(layer)
    assert torch.autograd.gradcheck(
        lambda x, *given: function(dict(zip(names, given, strict=True)), x),
        (x, *(tensor.detach().requires_grad_() for tensor in tensors)),
    )


@pytest.mark.parametrize("change", [lambda y: y.add_(1), lambda y: torch.nn.functional.relu(y, inplace=True)])
@pytest.mark.parametrize("shape", [(4,), (2, 3, 4)])
def test_the_output_may_be_changed_in_place(change, shape):
    layer, x = grown_layer(), torch.randn(shape, dtype=torch.float64)
    gradients = []
    for output in (layer(x), layer(x).clone()):
        layer.zero_grad()
        change(output).square().sum().backward()
        gradients.append([param.grad for param in layer.parameters()])
    assert all(torch.equal(ours, expected) for ours, expected in zip(*gradients, strict=True))


@pytest.mark.parametrize("variant", VARIANTS)
def test_transforms_of_torch_func(variant):
    layer, x = grown_layer(variant), torch.randn(7, 2, 4, dtype=torch.float64)
    parameters, function = dict(layer.named_parameters()), of_parameters(layer)
    by_sample = torch.func.vmap(
        torch.func.grad(lambda parameters, x: function(parameters, x).square().sum()), in_dims=(None, 0)
    )(parameters, x)
    torch.testing.assert_close(torch.func.vmap(layer)(x), layer(x))
    layer(x).square().sum().backward()
    for name, param in layer.named_parameters():
        torch.testing.assert_close(by_sample[name].sum(0), param.grad)


def test_it_compiles_whole_and_again_after_growth():
    layer, x = grown_layer(), torch.randn(2, 4, dtype=torch.float64)
    torch.compiler.reset()
    compiled = torch.compile(layer, fullgraph=True, backend="aot_eager")
    for _ in range(2):
        assert torch.equal(compiled(x), layer(x))
        layer.grow(2)


@pytest.mark.parametrize("strict", [False, True])
def test_it_is_exported(strict):
    layer, x = grown_layer(), torch.randn(2, 4, dtype=torch.float64)
    exported = torch.export.export(layer, (x,), strict=strict).module()
    torch.testing.assert_close(exported(x), layer(x))


def test_it_is_made_on_the_meta_device_and_drawn_later():
    with torch.device("meta"):
        late = Pattention(6, 5, 8)
    late.to_empty(device="cpu")
    torch.manual_seed(3)
    late.reset_parameters()
    torch.manual_seed(3)
    at_once = Pattention(6, 5, 8).state_dict()
    assert all(torch.equal(tensor, at_once[name]) for name, tensor in late.state_dict().items())
