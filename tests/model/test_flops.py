"""The formulas for parameters and operations, against models that are really built and run."""

import pytest
import torch
from nanotron.config import LlamaConfig
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from tokenformer.growth.append_tokens import AppendTokens
from tokenformer.model.config import MODEL_TYPES, LayerTokens, TokenSegment
from tokenformer.model.flops import SIZES, model_size

TOKENFORMERS = {
    "tied": {},
    "untied": {"tie_word_embeddings": False},
    "grouped queries": {"num_key_value_heads": 1},
    "learned norms": {"block_norm_affine": True},
    "learned rms norms": {"block_norm": "rms_norm", "block_norm_affine": True, "final_norm": "rms_norm"},
    "grown": {
        "qkv_tokens": [TokenSegment(10, 3.0), TokenSegment(6, 2.4)],
        "feed_forward_tokens": [TokenSegment(9, 3.0)],
    },
    "one layer": {"num_hidden_layers": 1, "num_attention_heads": 1},
    "learned tau": {"tau": "learned", "qkv_tokens": [TokenSegment(10, 3.0), TokenSegment(6, 2.4)]},
    "layers of different size": {
        "layer_tokens": [LayerTokens(1, qkv_tokens=6, feed_forward_tokens=[TokenSegment(9, 3.0)])]
    },
    "softmax": {"theta": "softmax"},
    "gelu before the norm": {"theta": "gelu_l2_norm"},
    "linear projections": {"qkv_layer": "linear", "output_layer": "linear", "num_key_value_heads": 1},
    "swiglu": {"feed_forward_layer": "swiglu", "swiglu_width": 40, "tau": "learned"},
    "documents": {"document_mask": True, "eos_token_id": 0},
}
LLAMAS = {
    "tied": {"tie_word_embeddings": True},
    "untied": {},
    "grouped queries": {"num_key_value_heads": 2},
    "one layer": {"num_hidden_layers": 1, "intermediate_size": 40},
}


@pytest.fixture(
    params=[("tokenformer", name) for name in TOKENFORMERS] + [("llama", name) for name in LLAMAS], ids=":".join
)
def config(request, tokenformer_config, parallel_context):
    model_type, name = request.param
    if model_type == "tokenformer":
        return tokenformer_config(**TOKENFORMERS[name])
    shape = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 88}
    return LlamaConfig(vocab_size=50, max_position_embeddings=16, **{**shape, **LLAMAS[name]})


def test_parameters_are_those_of_the_built_model(config, build):
    size = model_size(config)
    parameters = dict(build(config).named_parameters())
    count = sum(parameter.numel() for parameter in parameters.values())
    embeddings = [name for name in parameters if name.endswith(("token_embedding.weight", "lm_head.pp_block.weight"))]
    assert len(embeddings) == (1 if config.tie_word_embeddings else 2)
    assert size.parameters == count
    assert size.non_embedding_parameters == count - sum(parameters[name].numel() for name in embeddings)
    matrices = [value for name, value in parameters.items() if ".decoder." in name and value.ndim == 2]
    assert size.block_matrix_parameters == sum(matrix.numel() for matrix in matrices)


@pytest.mark.parametrize("length", [1, 12])
def test_operations_are_those_that_torch_counts(config, build, batch, length):
    """Matrix products, those of attention over the whole square, forward and backward."""
    model, size, inputs = build(config), model_size(config), batch(config, size=2, length=length)
    with sdpa_kernel(SDPBackend.MATH):
        with FlopCounterMode(display=False) as forward:
            loss = model(**inputs)["loss"]
        with FlopCounterMode(display=False) as backward:
            loss.backward()
    tokens = 2 * length
    assert forward.get_total_flops() == tokens * size.forward_flops_per_token(length)
    assert forward.get_total_flops() + backward.get_total_flops() == tokens * size.training_flops_per_token(length)


def one_position_after_another(heads: list[torch.Tensor]) -> None:
    """Causal attention of [batch, heads, length, head size] in which nothing is computed that the mask would hide."""
    query, key, value = heads
    for position in range(query.shape[2]):
        score = query[:, :, position : position + 1] @ key[:, :, : position + 1].transpose(-1, -2)
        (score @ value[:, :, : position + 1]).sum().backward(retain_graph=True)


@pytest.mark.parametrize("length", [1, 7])
def test_the_causal_half_is_what_the_mask_leaves(tokenformer_config, length):
    config = tokenformer_config()
    size, tokens = model_size(config), 3 * length
    head_size = config.hidden_size // config.num_attention_heads
    heads = [torch.randn(3, config.num_attention_heads, length, head_size, requires_grad=True) for _ in range(3)]
    with FlopCounterMode(display=False) as counter:
        one_position_after_another(heads)
    without_attention = 3 * (2 * size.block_matrix_parameters + 2 * size.hidden_size * size.vocabulary_size)
    attention = size.training_flops_per_token(length, causal_half=True) - without_attention
    assert counter.get_total_flops() * config.num_hidden_layers == tokens * attention


def test_growth_costs_what_its_parameters_cost(tokenformer_config, build, batch):
    before = tokenformer_config()
    counted = []
    for config in (before, AppendTokens(factor=2).grown_config(before)):
        model = build(config)
        with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
            model(**batch(config))["loss"].backward()
        counted.append((counter.get_total_flops(), sum(parameter.numel() for parameter in model.parameters())))
    (flops, parameters), (more_flops, more_parameters) = counted
    assert more_flops - flops == 6 * 3 * 12 * (more_parameters - parameters)


def test_a_size_for_every_model_type():
    """The keys of a Llama become Nanotron's `LlamaConfig`."""
    assert {kind.__name__.replace("Keys", "Config") for kind in MODEL_TYPES.values()} == SIZES.keys()
