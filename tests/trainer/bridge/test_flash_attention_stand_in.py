"""The stand-in for flash-attn against the formulas, written out with loops and complex numbers."""

import math

import pytest
import torch

from tests.support.cases import cases
from tokenformer.trainer.bridge import flash_attention_stand_in as flash_attention
from tokenformer.trainer.bridge.flash_attention_stand_in import RotaryEmbedding, flash_attn_varlen_func, layer_norm_fn

HEAD_SIZE = 8


def random(*shape):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(math.prod(shape)))


def offsets(lengths):
    return torch.tensor([0, *torch.tensor(lengths).cumsum(0)], dtype=torch.int32)


def attention_by_definition(query, key, value, scale, causal):
    """One sequence: query [m, heads, size], key and value [n, key heads, size], each shared by a group of heads."""
    output = torch.empty_like(query)
    group = query.shape[1] // key.shape[1]
    for head in range(query.shape[1]):
        for position in range(query.shape[0]):
            seen = position + 1 if causal else key.shape[0]
            scores = scale * key[:seen, head // group] @ query[position, head]
            weights = scores.exp() / scores.exp().sum()
            output[position, head] = weights @ value[:seen, head // group]
    return output


def packed(lengths_q, lengths_k, heads, key_heads):
    tokens_q, tokens_k = sum(lengths_q), sum(lengths_k)
    query = random(tokens_q, heads, HEAD_SIZE)
    key, value = random(tokens_k, key_heads, HEAD_SIZE), random(tokens_k, key_heads, HEAD_SIZE) * 2
    return query, key, value


@pytest.mark.parametrize("key_heads", [6, 3, 2, 1])
@cases(
    ([7], [7], True),
    ([5, 5, 5], [5, 5, 5], True),
    ([5, 5], [5, 5], False),
    ([3, 8, 1], [3, 8, 1], True),
    ([3, 8, 1], [3, 8, 1], False),
    ([3, 2], [6, 4], False),
    ([4, 4], [6, 6], False),
)
@pytest.mark.parametrize("scale", [None, 0.7])
def test_attention_is_softmax_of_the_scores(key_heads, scale, lengths_q, lengths_k, causal):
    query, key, value = packed(lengths_q, lengths_k, 6, key_heads)
    result = flash_attn_varlen_func(
        query,
        key,
        value,
        cu_seqlens_q=offsets(lengths_q),
        cu_seqlens_k=offsets(lengths_k),
        max_seqlen_q=max(lengths_q),
        max_seqlen_k=max(lengths_k),
        softmax_scale=scale,
        causal=causal,
    )
    pieces = zip(query.split(lengths_q), key.split(lengths_k), value.split(lengths_k), strict=True)
    by_definition = scale or HEAD_SIZE**-0.5
    expected = torch.cat([attention_by_definition(*piece, by_definition, causal) for piece in pieces])
    torch.testing.assert_close(result, expected, atol=1e-12, rtol=1e-12)


def call_attention(lengths_q=(4,), lengths_k=(4,), **options):
    query, key, value = packed(list(lengths_q), list(lengths_k), 2, 2)
    ends = offsets(list(lengths_q)), offsets(list(lengths_k))
    return flash_attn_varlen_func(query, key, value, *ends, max(lengths_q), max(lengths_k), **options)


@cases(
    {"dropout_p": 0.1},
    {"return_attn_probs": True},
    {"window_size": (4, 0)},
    {"alibi_slopes": torch.ones(2)},
    {"causal": True, "lengths_k": (6,)},
)
def test_what_it_cannot_do_is_refused_and_not_ignored(options):
    with pytest.raises(NotImplementedError, match="stand-in"):
        call_attention(**options)


def rotated_by_definition(x, size, base, interleaved):
    """Pairs of features as complex numbers, multiplied by exp(i position base^(-2 k / size))."""
    if interleaved:
        pairs = torch.complex(x[..., 0:size:2], x[..., 1:size:2])
    else:
        pairs = torch.complex(x[..., : size // 2], x[..., size // 2 : size])
    angles = torch.tensor(
        [[position * base ** (-2 * k / size) for k in range(size // 2)] for position in range(x.shape[1])]
    ).to(x.dtype)
    turned = pairs * torch.polar(torch.ones_like(angles), angles)[:, None]
    output = x.clone()
    if interleaved:
        output[..., 0:size:2], output[..., 1:size:2] = turned.real, turned.imag
    else:
        output[..., : size // 2], output[..., size // 2 : size] = turned.real, turned.imag
    return output


@pytest.mark.parametrize("interleaved", [True, False])
@pytest.mark.parametrize("size", [HEAD_SIZE, HEAD_SIZE // 2, 2])
@pytest.mark.parametrize("base", [10000.0, 50.0])
def test_rotary_embedding_turns_pairs_of_features(interleaved, size, base):
    query, kv = random(3, 11, 4, HEAD_SIZE), random(3, 11, 2, 2, HEAD_SIZE)
    turned_query, turned_kv = RotaryEmbedding(size, base=base, interleaved=interleaved)(query, kv)
    expected = [rotated_by_definition(x, size, base, interleaved) for x in (query, kv[:, :, 0])]
    torch.testing.assert_close(turned_query, expected[0], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(turned_kv[:, :, 0], expected[1], atol=1e-5, rtol=1e-5)
    assert torch.equal(turned_kv[:, :, 1], kv[:, :, 1])


def test_scores_of_turned_heads_depend_on_distance_alone():
    query, key = random(1, 1, 1, HEAD_SIZE).expand(1, 12, 1, HEAD_SIZE), random(1, 1, 1, 1, HEAD_SIZE)
    kv = key.expand(1, 12, 2, 1, HEAD_SIZE)
    turned_query, turned_kv = RotaryEmbedding(HEAD_SIZE)(query, kv)
    scores = turned_query[0, :, 0] @ turned_kv[0, :, 0, 0].T
    for distance in range(12):
        diagonal = scores.diagonal(distance)
        torch.testing.assert_close(diagonal, diagonal[:1].expand_as(diagonal), atol=1e-5, rtol=1e-5)


def test_unknown_rotary_options_are_refused():
    with pytest.raises(NotImplementedError, match="scale_base"):
        RotaryEmbedding(8, scale_base=512)


def test_layer_norm_by_its_formula():
    x, weight, bias = random(5, 3, 16), random(16), random(16) * 3
    centred = x - x.mean(-1, keepdim=True)
    expected = centred / (centred.square().mean(-1, keepdim=True) + 1e-3).sqrt() * weight + bias
    torch.testing.assert_close(layer_norm_fn(x, weight, bias, eps=1e-3), expected, atol=1e-12, rtol=1e-12)


def test_rms_norm_by_its_formula():
    x, weight = random(5, 3, 16), random(16)
    expected = x / (x.square().mean(-1, keepdim=True) + 1e-3).sqrt() * weight
    result = layer_norm_fn(x, weight, None, eps=1e-3, is_rms_norm=True)
    torch.testing.assert_close(result, expected, atol=1e-12, rtol=1e-12)


@pytest.mark.parametrize("option", [{"residual": torch.ones(2, 4)}, {"dropout_p": 0.5}, {"prenorm": True}])
def test_fused_variants_of_the_norm_are_refused(option):
    with pytest.raises(NotImplementedError, match="stand-in"):
        layer_norm_fn(torch.ones(2, 4), torch.ones(4), **option)


def test_what_only_generation_uses_imports_and_says_so_when_called():
    function = flash_attention.flash_attn_with_kvcache
    with pytest.raises(NotImplementedError, match="flash_attn_with_kvcache"):
        function()
    assert not hasattr(flash_attention, "__wrapped__")
