"""Our block beside the official Tokenformer's (Haiyang-W/TokenFormer), by numbers that were computed with both."""

import json
import math
from pathlib import Path

import pytest
import torch
from nanotron.parallel.tensor_parallel.enum import TensorParallelLinearMode

from tests.support.model_sizes import tokenformer_sizes
from tokenformer.kernels import pattention
from tokenformer.model.block import TokenformerBlock
from tokenformer.model.config import TokenformerConfig
from tokenformer.model.flops import tokenformer_size

GOLDEN = json.loads((Path(__file__).parent / "golden" / "official_block.json").read_text(encoding="utf-8"))
VARIANTS = ["l2_norm_gelu", "gelu_l2_norm", "softmax"]
KERNELS = ["torch", "reference"]
# fp64 has to give the golden digits, of which there are nine; fp32 what the issue asks for.
TOLERANCES = {torch.float64: 1e-8, torch.float32: 1e-6}
OFFICIAL = {
    "gelu": "erf",
    "tau": "current",
    "pattention_eps": 0.0,
    "block_norm": "layer_norm",
    "block_norm_affine": False,
    "final_norm": "layer_norm",
    "norm_eps": 1e-5,
    "rope_theta": 10000.0,
    "rotary_fraction": 0.25,
    "tie_word_embeddings": True,
}
SMALL = tokenformer_sizes(48, 12, 3, tokens=(40, 40, 120), vocabulary=64, positions=16)
# Scale of the value tokens; that of the queries and keys is the largest, so that attention depends on position.
VALUE_SCALES = {
    "attention.qkv.query": 0.2,
    "attention.qkv.key": 0.2,
    "attention.qkv.value": 0.1,
    "attention.output": 0.05,
    "feed_forward.pattention": 0.03,
}
KEY_SCALE = 0.25


def fixed_numbers(shape: tuple[int, ...], seed: int, scale: float, dtype: torch.dtype) -> torch.Tensor:
    """The same numbers in [-scale, scale) for ever: element i is 2 ((seed i + 1)^3 mod 10007) / 10007 - 1, scaled."""
    elements = ((seed * torch.arange(math.prod(shape)) + 1) ** 3 % 10007).double()
    return (scale * (2 * elements / 10007 - 1)).reshape(shape).to(dtype)


@pytest.fixture(scope="module")
def block_output(parallel_context):
    """`block_output(dtype, **changes)` is what a block of the official settings makes of the fixed input."""

    def block_output(dtype: torch.dtype, **changes) -> torch.Tensor:
        config = TokenformerConfig(**{**SMALL, **OFFICIAL, **changes})
        block = TokenformerBlock(config, 0, TensorParallelLinearMode.ALL_REDUCE, parallel_context.tp_pg).to(dtype)
        parameters, seed = dict(block.named_parameters()), 2
        assert len(parameters) == 2 * len(VALUE_SCALES)
        with torch.no_grad():
            for module, value_scale in VALUE_SCALES.items():
                for kind, scale in (("key_tokens", KEY_SCALE), ("value_tokens", value_scale)):
                    parameter = parameters[f"{module}.{kind}"]
                    parameter.copy_(fixed_numbers(parameter.shape, seed, scale, dtype))
                    seed += 1
            output = block(fixed_numbers((6, 2, 48), 1, 1.0, dtype))["hidden_states"]
        return output[1::2, :, 3::8]

    return block_output


def golden(part: str, variant: str, like: torch.Tensor) -> torch.Tensor:
    return torch.tensor(GOLDEN[part][variant], dtype=torch.float64).view(like.shape)


def largest_difference(part: str, variant: str, output: torch.Tensor) -> float:
    return (output.double() - golden(part, variant, output)).abs().max().item()


@pytest.mark.parametrize("dtype", TOLERANCES, ids=str)
@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("theta", VARIANTS)
def test_a_block_computes_what_the_official_one_does(theta, kernel, dtype, block_output):
    output = block_output(dtype, theta=theta, kernel=kernel)
    assert largest_difference("block", theta, output) <= TOLERANCES[dtype]


@pytest.mark.parametrize("dtype", TOLERANCES, ids=str)
@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("variant", VARIANTS)
def test_pattention_computes_what_the_official_one_does(variant, kernel, dtype):
    x, keys, values = (
        fixed_numbers((4, 48), 12, 1.0, dtype),
        fixed_numbers((40, 48), 2, KEY_SCALE, dtype),
        fixed_numbers((40, 48), 3, 0.2, dtype),
    )
    output = pattention(x, keys, values, eps=0.0, variant=variant, backend=kernel)[:, 3::8]
    assert largest_difference("pattention", variant, output) <= TOLERANCES[dtype]


OTHER_SETTINGS = [
    {"gelu": "tanh"},
    {"pattention_eps": 1e-6},
    {"block_norm": "rms_norm"},
    {"norm_eps": 1e-4, "theta": "gelu_l2_norm"},  # an L2 norm before the GELU undoes what a norm's eps does
    {"rope_theta": 5000.0},
    {"rotary_fraction": 0.5},
    {"num_attention_heads": 4},
    {"num_attention_heads": 2},
]


@pytest.mark.parametrize("changes", OTHER_SETTINGS, ids=str)
def test_every_official_setting_shows_in_the_golden_numbers(changes, block_output):
    theta = changes.get("theta", "l2_norm_gelu")
    assert largest_difference("block", theta, block_output(torch.float64, **changes)) > 2e-6


# Layers, width, heads, tokens of each q, k, v and output projection, tokens of the feed-forward layer; parameters.
RELEASED = {
    "Pile 150M": ((12, 768, 12, 768, 3072), 151_881_216),
    "Pile 450M": ((24, 1024, 16, 1024, 4096), 454_166_528),
    "Pile 900M": ((32, 1280, 16, 1280, 5120), 903_252_480),
    "Pile 1.5B": ((40, 1536, 16, 1536, 6144), 1_587_219_456),
    "OpenWebText2 354M": ((24, 1024, 16, 768, 3072), 353_503_232),
    "OpenWebText2 757M": ((24, 1024, 16, 1792, 7168), 756_156_416),
}
# Millions of parameters without embeddings and with them, as the tables give them.
ROUNDED = {
    "Pile 150M": (113.2, 151.9),
    "Pile 450M": (402.7, 454.2),
    "Pile 900M": (838.9, 903.3),
    "Pile 1.5B": (1509.9, 1587.2),
    "OpenWebText2 354M": (302.0, 353.5),
    "OpenWebText2 757M": (704.6, 756.2),
}


@pytest.mark.parametrize("model", RELEASED)
def test_parameters_are_those_of_the_released_models(model):
    (layers, hidden, heads, attention_tokens, feed_forward_tokens), parameters = RELEASED[model]
    config = TokenformerConfig(
        **OFFICIAL,
        hidden_size=hidden,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        qkv_tokens=attention_tokens,
        output_tokens=attention_tokens,
        feed_forward_tokens=feed_forward_tokens,
        vocab_size=50304,
        max_position_embeddings=2048,
    )
    size = tokenformer_size(config)
    assert size.parameters == parameters
    millions = size.block_matrix_parameters / 1e6, size.parameters / 1e6
    assert tuple(round(number, 1) for number in millions) == ROUNDED[model]
