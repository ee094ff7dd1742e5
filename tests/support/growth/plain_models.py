"""Llama and Tokenformer in plain torch, in the dtype of their parameters, which carry Nanotron's names and layouts."""

import math
from dataclasses import dataclass

import torch
from torch.nn import functional

from tests.support.model_sizes import tokenformer_sizes
from tests.support.plain_tokenformer import PlainTokenformer
from tokenformer.growth.operator import GrowthContext, ParameterGrowth, Transition
from tokenformer.growth.parameter_name import ParameterName
from tokenformer.model.config import TokenformerConfig

EMBEDDING = "model.token_position_embeddings.pp_block.token_embedding.weight"
HEAD = "model.lm_head.pp_block.weight"


@dataclass
class LlamaConfig:
    """The fields of Nanotron's that make a difference here."""

    hidden_size: int = 16
    intermediate_size: int = 24
    num_hidden_layers: int = 2
    num_attention_heads: int = 4
    num_key_value_heads: int = 2
    vocab_size: int = 31
    tie_word_embeddings: bool = True
    rms_norm_eps: float = 1e-6
    is_llama_config: bool = True


def tokenformer_config(**changes) -> TokenformerConfig:
    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2}
    tokens = {"qkv_tokens": 6, "output_tokens": 7, "feed_forward_tokens": 10}
    others = {"vocab_size": 31, "max_position_embeddings": 16, "rotary_fraction": 0.5}
    return TokenformerConfig(**{**sizes, **tokens, **others, **changes})


def few_tokens_config(**changes) -> TokenformerConfig:
    """Of 8 features, with as many tokens for each projection as growth by small factors keeps whole."""
    sizes = tokenformer_sizes(8, 2, 2, tokens=(8, 12, 20), vocabulary=32, positions=16)
    return TokenformerConfig(**{**sizes, "num_key_value_heads": 1, **changes})


def is_llama(config) -> bool:
    return isinstance(config, LlamaConfig)


def llama_shapes(config: LlamaConfig) -> dict[str, tuple[int, ...]]:
    hidden, width = config.hidden_size, config.intermediate_size
    key_value = config.num_key_value_heads * hidden // config.num_attention_heads
    shapes = {EMBEDDING: (config.vocab_size, hidden), "model.final_layer_norm.pp_block.weight": (hidden,)}
    for layer in range(config.num_hidden_layers):
        block = f"model.decoder.{layer}.pp_block"
        shapes |= {
            f"{block}.input_layernorm.weight": (hidden,),
            f"{block}.attn.qkv_proj.weight": (hidden + 2 * key_value, hidden),
            f"{block}.attn.o_proj.weight": (hidden, hidden),
            f"{block}.post_attention_layernorm.weight": (hidden,),
            f"{block}.mlp.gate_up_proj.weight": (2 * width, hidden),
            f"{block}.mlp.down_proj.weight": (hidden, width),
        }
    return shapes if config.tie_word_embeddings else shapes | {HEAD: (config.vocab_size, hidden)}


def tokenformer_shapes(config: TokenformerConfig) -> dict[str, tuple[int, ...]]:
    hidden, key_value = config.hidden_size, config.num_key_value_heads * config.head_size
    shapes = norm_shapes("model.final_norm.pp_block", config.final_norm, hidden)
    shapes[EMBEDDING] = (config.vocab_size, hidden)
    for layer in range(config.num_hidden_layers):
        block = f"model.decoder.{layer}.pp_block"
        if config.block_norm_affine:
            for norm in ("attention_norm", "feed_forward_norm"):
                shapes |= norm_shapes(f"{block}.{norm}", config.block_norm, hidden)
        projections = {
            "attention.qkv.query": ("qkv", hidden),
            "attention.qkv.key": ("qkv", key_value),
            "attention.qkv.value": ("qkv", key_value),
            "attention.output": ("output", hidden),
            "feed_forward.pattention": ("feed_forward", hidden),
        }
        for module, (projection, outputs) in projections.items():
            segments = config.segments(projection, layer)
            tokens = sum(segment.tokens for segment in segments)
            if config.is_pattention(projection):
                shapes[f"{block}.{module}.key_tokens"] = (tokens, hidden)
                shapes[f"{block}.{module}.value_tokens"] = (tokens, outputs)
                if config.tau == "learned":
                    shapes[f"{block}.{module}.tau"] = (len(segments),)
            elif projection == "feed_forward":
                width = config.swiglu_width
                shapes |= {f"{block}.feed_forward.{part}.weight": (width, hidden) for part in ("gate", "up")}
                shapes[f"{block}.feed_forward.down.weight"] = (hidden, width)
            else:
                shapes[f"{block}.{module}.weight"] = (outputs, hidden)
    return shapes if config.tie_word_embeddings else shapes | {HEAD: (config.vocab_size, hidden)}


def norm_shapes(name: str, kind: str, hidden: int) -> dict[str, tuple[int]]:
    kinds = ("weight", "bias") if kind == "layer_norm" else ("weight",)
    return {f"{name}.{part}": (hidden,) for part in kinds}


def random_parameters(config, seed: int = 0, dtype: torch.dtype = torch.float64) -> dict[str, torch.Tensor]:
    """Of order 1 / sqrt(inputs), norms and tau included, so that no part is too small to be seen."""
    generator = torch.Generator().manual_seed(seed)
    shapes = llama_shapes(config) if is_llama(config) else tokenformer_shapes(config)
    parameters = {}
    for name, shape in shapes.items():
        drawn = torch.randn(shape, generator=generator, dtype=torch.float64)
        if name.endswith(".tau"):
            drawn = _tau(name, config) * (1 + drawn.abs() / 4)
        elif len(shape) == 1:
            drawn = 1 + 0.3 * drawn
        elif name != EMBEDDING:
            drawn = drawn / math.sqrt(shape[1])
        parameters[name] = drawn.to(dtype)
    return parameters


def _tau(name: str, config: TokenformerConfig) -> torch.Tensor:
    parameter = ParameterName.parse(name)
    segments = config.segments(parameter.projection, parameter.layer)
    return torch.tensor([segment.tau for segment in segments], dtype=torch.float64)


def logits(parameters: dict[str, torch.Tensor], config, ids: torch.Tensor) -> torch.Tensor:
    """Ids [batch, length] to logits [batch, length, vocabulary]."""
    if not is_llama(config):
        return PlainTokenformer(parameters, config).logits(ids)
    model, hidden = PlainLlama(parameters, config), parameters[EMBEDDING][ids]
    for layer in range(config.num_hidden_layers):
        hidden = model.block(layer, hidden)
    return model.final_norm(hidden) @ parameters.get(HEAD, parameters[EMBEDDING]).T


IDS = torch.randint(31, (3, 12), generator=torch.Generator().manual_seed(1))


def change(before: tuple, after: tuple) -> float:
    """Relative, of the logits of two models, each (parameters, config)."""
    expected = logits(*before, IDS)
    return ((logits(*after, IDS) - expected).norm() / expected.norm()).item()


def attend(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
    """[batch, heads, length, head size], with fewer key and value heads, to [batch, length, hidden]."""
    attended = functional.scaled_dot_product_attention(
        query, key, value, is_causal=True, enable_gqa=query.shape[1] != key.shape[1]
    )
    return attended.transpose(1, 2).flatten(2)


def angles(length: int, size: int, like: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """cos and sin, [length, size / 2] each."""
    frequencies = 10000.0 ** (-torch.arange(0, size, 2, dtype=torch.float64) / max(size, 1))
    turned = torch.outer(torch.arange(length, dtype=torch.float64), frequencies)
    return turned.cos().to(like), turned.sin().to(like)


class PlainLlama:
    def __init__(self, parameters, config: LlamaConfig):
        self.parameters, self.config = parameters, config
        self.head = config.hidden_size // config.num_attention_heads

    def norm(self, name, x):
        return functional.rms_norm(x, x.shape[-1:], self.parameters[f"{name}.weight"], self.config.rms_norm_eps)

    def final_norm(self, x):
        return self.norm("model.final_layer_norm.pp_block", x)

    def turned(self, heads):
        """Nanotron pairs neighbouring features."""
        cos, sin = angles(heads.shape[-2], self.head, heads)
        first, second = heads[..., ::2], heads[..., 1::2]
        return torch.stack((first * cos - second * sin, first * sin + second * cos), -1).flatten(-2)

    def block(self, layer, x):
        name = f"model.decoder.{layer}.pp_block"
        fused = self.norm(f"{name}.input_layernorm", x) @ self.parameters[f"{name}.attn.qkv_proj.weight"].T
        heads = fused.unflatten(-1, (-1, self.head)).transpose(1, 2)
        counts = self.config.num_attention_heads, self.config.num_key_value_heads, self.config.num_key_value_heads
        query, key, value = heads.split(counts, dim=1)
        attended = attend(self.turned(query), self.turned(key), value)
        x = x + attended @ self.parameters[f"{name}.attn.o_proj.weight"].T
        fused = self.norm(f"{name}.post_attention_layernorm", x) @ self.parameters[f"{name}.mlp.gate_up_proj.weight"].T
        gate, up = fused.chunk(2, dim=-1)
        return x + (functional.silu(gate) * up) @ self.parameters[f"{name}.mlp.down_proj.weight"].T


def parameter_names(config) -> list[str]:
    return list(llama_shapes(config) if is_llama(config) else tokenformer_shapes(config))


def of_sources(transition: Transition, name: str, old: dict) -> list:
    """The entries of `old` that a parameter of the grown model is made of."""
    return [old[source] for source in transition.growth_of(name).sources]


def growth_of(operator, name: str, before, after) -> ParameterGrowth:
    return Transition(operator, before, after).growth_of(name)


def grown_moment(operator, name: str, old: dict, power: int, before, after) -> torch.Tensor:
    """What an operator makes of a moment; `old` holds at least those of the sources."""
    transition = Transition(operator, before, after)
    return transition.growth_of(name).moment(*of_sources(transition, name, old), power=power)


def grown(operator, config, parameters, seed: int = 5, stage: int = 1, names=None):
    """Parameters and config of the grown model; `names` are those of a plain model unless they are given."""
    transition, context = Transition.by(operator, config), GrowthContext(seed, stage)
    return {
        name: transition.weight(name, of_sources(transition, name, parameters), context)
        for name in names or parameter_names(transition.after)
    }, transition.after
