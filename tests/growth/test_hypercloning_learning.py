"""What a clone learns, against what its source would have learned."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.growth.plain_models import (
    EMBEDDING,
    HEAD,
    LlamaConfig,
    grown,
    grown_moment,
    growth_of,
    random_parameters,
    tokenformer_config,
)
from tests.support.growth.plain_training import gradients, next_batch, training
from tokenformer.growth.hypercloning import HyperCloning
from tokenformer.model.config import LayerTokens, TokenSegment

SEGMENTS = {
    "feed_forward_tokens": [TokenSegment(6, 2.0), TokenSegment(4, 3.0)],
    "output_tokens": [TokenSegment(3, 1.5), TokenSegment(2, 2.0)],
    "layer_tokens": [LayerTokens(1, feed_forward_tokens=5)],
}
ORDINARY = {"qkv_layer": "linear", "output_layer": "linear", "feed_forward_layer": "swiglu", "swiglu_width": 12}
factors = st.sampled_from([(1, 2), (2, 1), (2, 2), (3, 3), (2, 3)])
square = st.sampled_from([(2, 2), (3, 3), (2, 1), (1, 3)])
clones = st.one_of(
    st.builds(lambda sizes: HyperCloning(*sizes, noise_db=None), factors),
    st.builds(lambda sizes: HyperCloning(*sizes, noise_db=None, kind="diagonal"), square),
)
heads = {"num_key_value_heads": st.sampled_from([1, 2, 4]), "tie_word_embeddings": st.booleans()}
llamas = st.builds(LlamaConfig, **heads)
tokenformers = st.builds(
    lambda layers, norm, **changes: tokenformer_config(tau="learned", block_norm=norm, **layers, **changes),
    layers=st.sampled_from([{}, SEGMENTS, ORDINARY]),
    norm=st.sampled_from(["layer_norm", "rms_norm"]),
    theta=st.sampled_from(["l2_norm_gelu", "gelu_l2_norm", "softmax"]),
    block_norm_affine=st.booleans(),
    **heads,
)


@settings(max_examples=60)
@given(config=st.one_of(llamas, tokenformers), operator=clones)
def test_gradients_follow_the_law_of_moments(config, operator):
    old, batch = random_parameters(config), next_batch(0, config.vocab_size)
    new, after = grown(operator, config, old)
    before = gradients(old, config, batch)
    for name, gradient in gradients(new, after, batch).items():
        expected = grown_moment(operator, name, before, 1, config, after)
        assert (gradient - expected).norm() < 1e-11 * expected.norm(), name
        squares = {source: old**2 for source, old in before.items()}
        torch.testing.assert_close(grown_moment(operator, name, squares, 2, config, after), expected**2)


def test_an_untied_head_takes_part_of_the_gradient_and_its_moments_begin_anew():
    config, operator = LlamaConfig(), HyperCloning(noise_db=None, tied_embeddings="untie")
    old, batch = random_parameters(config), next_batch(0, config.vocab_size)
    new, after = grown(operator, config, old)
    before, gradient = gradients(old, config, batch), gradients(new, after, batch)
    torch.testing.assert_close(2 * gradient[EMBEDDING] + gradient[HEAD], before[EMBEDDING].repeat(1, 2))
    for name in (EMBEDDING, HEAD):
        for power in (1, 2):
            assert not grown_moment(operator, name, before, power, config, after).any()
        assert growth_of(operator, name, config, after).new_elements().all()


ROUNDING = {torch.float64: 1e-9, torch.float32: 5e-6}  # of losses, in nats, over 200 steps

# Config, operator, weight decay, dtype.
RUNS = {
    "llama": (LlamaConfig(), HyperCloning(noise_db=None), 0.0, torch.float64),
    "llama, fp32": (LlamaConfig(), HyperCloning(noise_db=None), 0.0, torch.float32),
    "llama, weight decay, one key and value head, own head": (
        LlamaConfig(num_key_value_heads=1, tie_word_embeddings=False),
        HyperCloning(2, 3, noise_db=None),
        0.1,
        torch.float64,
    ),
    "llama, diagonal": (LlamaConfig(), HyperCloning(noise_db=None, kind="diagonal"), 0.1, torch.float64),
    "tokenformer": (
        tokenformer_config(
            tau="learned", block_norm_affine=True, num_hidden_layers=1, **{**SEGMENTS, "layer_tokens": []}
        ),
        HyperCloning(noise_db=None),
        0.1,
        torch.float64,
    ),
}


@pytest.mark.parametrize(("config", "operator", "weight_decay", "dtype"), RUNS.values(), ids=RUNS.keys())
def test_without_noise_a_clone_learns_exactly_what_its_source_learns(config, operator, weight_decay, dtype):
    source = training(config, dtype=dtype, weight_decay=weight_decay)
    start = source.run(20)[0]
    clone = source.grown(operator)
    expected, losses = source.run(200), clone.run(200)
    assert expected[-1] < start - 1
    assert max(abs(loss - other) for loss, other in zip(losses, expected, strict=True)) < ROUNDING[dtype]


@pytest.mark.parametrize("kind", ["symmetric", "diagonal"])
def test_at_the_old_learning_rates_the_function_moves_too_fast(kind):
    source = training(LlamaConfig())
    source.run(20)
    clone = source.grown(HyperCloning(noise_db=None, kind=kind), follow_rates=False)
    expected, losses = source.run(20), clone.run(20)
    assert losses[0] == pytest.approx(expected[0], abs=1e-9)
    assert max(abs(loss - other) for loss, other in zip(losses, expected, strict=True)) > 0.05


def difference_of_copies(clone) -> float:
    """Of what the two copies of the residual stream begin with, relative to it."""
    first, second = clone.weights()[EMBEDDING].chunk(2, dim=1)
    return ((first - second).norm() / first.norm()).item()


def test_copies_stay_one_for_ever_without_noise_and_part_with_it():
    source = training(LlamaConfig())
    source.run(20)
    locked, free = (source.grown(HyperCloning(noise_db=noise)) for noise in (None, 0.0))
    assert difference_of_copies(locked) == difference_of_copies(free) == 0
    same, better = locked.run(200), free.run(200)
    assert difference_of_copies(locked) < 1e-9
    assert difference_of_copies(free) > 0.1
    assert better[0] == pytest.approx(same[0], abs=1e-9)
    assert sum(better[-50:]) < sum(same[-50:]) - 0.5
