"""Initial weights: their scale, and that they depend on the seed and their names alone."""

import math

import pytest
import torch
from nanotron.parallel.parameters import SlicesPair
from nanotron.parallel.sharded_parameters import create_sharded_parameter

from tokenformer.model.config import TokenSegment
from tokenformer.model.init import initialise

WIDE = {"hidden_size": 96, "qkv_tokens": 80, "output_tokens": 60, "feed_forward_tokens": 200, "vocab_size": 400}
STD = 0.03


def parameters_of(model) -> dict[str, torch.Tensor]:
    return {name: parameter.detach().clone() for name, parameter in model.named_parameters()}


def expected_std(kind: str, parameter: torch.Tensor, initialization: str) -> float:
    """What the official codes draw: that for GPUs, and that for TPUs, which goes by the number of inputs."""
    if kind == "value_tokens":
        return 2 / 2 / math.sqrt(96) if initialization == "official" else 1 / math.sqrt(len(parameter))
    if kind == "key_tokens" and initialization == "fan_in":
        return 1 / math.sqrt(96)
    return STD


@pytest.mark.parametrize("initialization", ["official", "fan_in"])
@pytest.mark.parametrize("layers", [{}, {"qkv_layer": "linear", "feed_forward_layer": "swiglu", "swiglu_width": 70}])
def test_every_parameter_has_its_scale(tokenformer_config, build, initialization, layers):
    options = {"tie_word_embeddings": False, "block_norm_affine": True, "initialization": initialization, **layers}
    kinds = set()
    for name, parameter in parameters_of(build(tokenformer_config(**WIDE, **options), std=STD)).items():
        kind = name.rpartition(".")[2]
        kinds.add(kind)
        if kind == "bias":
            assert not parameter.any()
        elif "norm" in name:
            assert (parameter == 1).all()
        else:
            std = expected_std(kind, parameter, initialization)
            assert parameter.std().item() == pytest.approx(std, rel=0.05), name
            assert parameter.mean().item() == pytest.approx(0, abs=5 * std / math.sqrt(parameter.numel())), name
    assert kinds == {"weight", "bias", "key_tokens", "value_tokens"}


def test_a_learned_tau_starts_at_the_stored_one(tokenformer_config, build):
    segments = [TokenSegment(10, 3.5), TokenSegment(6, 2.25)]
    model = build(tokenformer_config(tau="learned", qkv_tokens=segments, output_tokens=16))
    taus = {name: value.tolist() for name, value in parameters_of(model).items() if name.endswith(".tau")}
    assert len(taus) == 2 * 5
    for name, value in taus.items():
        assert value == pytest.approx(
            [3.5, 2.25] if ".qkv." in name else [4.0] if ".output." in name else [math.sqrt(20)]
        )


def test_no_two_parameters_are_alike(tokenformer_config, build):
    parameters = parameters_of(build(tokenformer_config(tie_word_embeddings=False), std=STD))
    starts = [tuple(value.flatten()[:4].tolist()) for name, value in parameters.items() if "norm" not in name]
    assert len(starts) == len(set(starts)) == 2 * 10 + 2


def test_the_seed_decides_and_nothing_else(tokenformer_config, build):
    torch.manual_seed(1)
    first = parameters_of(build(tokenformer_config(), seed=3))
    torch.manual_seed(2)
    again, other = (
        parameters_of(build(tokenformer_config(), seed=3)),
        parameters_of(build(tokenformer_config(), seed=4)),
    )
    assert all(torch.equal(again[name], value) for name, value in first.items())
    assert not any(torch.equal(other[name], value) for name, value in first.items() if "norm" not in name)


def test_a_layer_does_not_depend_on_its_neighbours(tokenformer_config, build):
    small = parameters_of(build(tokenformer_config()))
    large = parameters_of(build(tokenformer_config(num_hidden_layers=3, feed_forward_tokens=30)))
    for name, value in small.items():
        if "feed_forward" in name or name.endswith("value_tokens"):
            continue  # their own size, and the number of layers, enter
        assert torch.equal(large[name], value), name


@pytest.mark.parametrize("segments", [(8,), (8, 4), (2, 6, 4)])
@pytest.mark.parametrize("ranks", [1, 2])
def test_shards_are_parts_of_one_draw(tokenformer_config, ranks, segments):
    """Each rank draws the whole parameter and keeps its share of every segment."""
    config = tokenformer_config(feed_forward_tokens=[TokenSegment(size, 1.0) for size in segments])
    name, total = "model.decoder.0.pp_block.feed_forward.pattention.key_tokens", sum(segments)
    together = torch.full((total, 5), math.nan)
    for rank in range(ranks):
        pairs, start, local = [], 0, 0
        for size in segments:
            share = size // ranks
            whole_rows = slice(start + rank * share, start + (rank + 1) * share)
            pairs.append(SlicesPair((slice(local, local + share), slice(None)), (whole_rows, slice(None))))
            start, local = start + size, local + share
        shard = torch.nn.Parameter(torch.empty(total // ranks, 5))
        shard = create_sharded_parameter(shard, tuple(range(ranks)), tuple(pairs), (total, 5))
        initialise([(name, shard)], config, STD, seed=6, tau={})
        for pair in pairs:
            together[pair.global_slices] = shard.detach()[pair.local_slices]
    whole = create_sharded_parameter(
        torch.nn.Parameter(torch.empty(total, 5)),
        (0,),
        (SlicesPair((slice(None),) * 2, (slice(None),) * 2),),
        (total, 5),
    )
    initialise([(name, whole)], config, STD, seed=6, tau={})
    assert torch.equal(together, whole.detach())
