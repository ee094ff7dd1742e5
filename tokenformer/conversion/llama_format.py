"""Nanotron's Llama as transformers' own `LlamaForCausalLM`, without custom code.

Nanotron keeps query, key and value in one matrix, and gate and up in another; transformers keeps them apart. Nanotron
pairs neighbouring features of a head for the rotary positions, transformers pairs feature i with i + size / 2. The
rows of query and key are put in transformers' order, which leaves every score as it is.
"""

from collections.abc import Callable, Mapping
from typing import Any

import torch

from tokenformer.errors import UserError

KEPT = (  # fields of one name and meaning
    *("hidden_act", "hidden_size", "initializer_range", "intermediate_size", "max_position_embeddings"),
    *("num_attention_heads", "num_hidden_layers", "num_key_value_heads", "rms_norm_eps", "tie_word_embeddings"),
    *("vocab_size", "bos_token_id", "eos_token_id", "pad_token_id"),
)
OUTSIDE = {  # ours, and transformers'
    "model.token_position_embeddings.pp_block.token_embedding.weight": "model.embed_tokens.weight",
    "model.final_layer_norm.pp_block.weight": "model.norm.weight",
}
HEAD = {"model.lm_head.pp_block.weight": "lm_head.weight"}
IN_BLOCK = {
    "input_layernorm.weight": "input_layernorm.weight",
    "post_attention_layernorm.weight": "post_attention_layernorm.weight",
    "attn.o_proj.weight": "self_attn.o_proj.weight",
    "mlp.down_proj.weight": "mlp.down_proj.weight",
}
FUSED = {  # ours, and the matrices of transformers that it holds, one below the other
    "attn.qkv_proj.weight": ("self_attn.q_proj.weight", "self_attn.k_proj.weight", "self_attn.v_proj.weight"),
    "mlp.gate_up_proj.weight": ("mlp.gate_proj.weight", "mlp.up_proj.weight"),
}
TURNED = ("self_attn.q_proj.weight", "self_attn.k_proj.weight")


def _head_size(config: Any) -> int:
    return config.hidden_size // config.num_attention_heads


def halves_from_pairs(rows: torch.Tensor, head_size: int) -> torch.Tensor:
    """Rows [heads * size, ..] of neighbouring features to transformers' order: of each head first the even ones."""
    return rows.unflatten(0, (-1, head_size // 2, 2)).transpose(1, 2).flatten(0, 2).contiguous()


def pairs_from_halves(rows: torch.Tensor, head_size: int) -> torch.Tensor:
    """The inverse of `halves_from_pairs`."""
    return rows.unflatten(0, (-1, 2, head_size // 2)).transpose(1, 2).flatten(0, 2).contiguous()


def _sizes(config: Any, name: str) -> list[int]:
    """Rows of each matrix in a fused one."""
    key_value = config.num_key_value_heads * _head_size(config)
    return [config.hidden_size, key_value, key_value] if "qkv" in name else [config.intermediate_size] * 2


def _plain_names(config: Any) -> dict[str, str]:
    """Our name to transformers', of every tensor that stays as it is."""
    names = OUTSIDE | ({} if config.tie_word_embeddings else HEAD)
    for layer in range(config.num_hidden_layers):
        block = {f"model.decoder.{layer}.pp_block.{ours}": theirs for ours, theirs in IN_BLOCK.items()}
        names |= {ours: f"model.layers.{layer}.{theirs}" for ours, theirs in block.items()}
    return names


class LlamaFormat:
    """See `formats.Format`."""

    code: tuple[str, ...] = ()

    def config(self, model_config: Any) -> dict[str, Any]:
        return {
            "model_type": "llama",
            "architectures": ["LlamaForCausalLM"],
            **{key: getattr(model_config, key) for key in KEPT},
            "attention_bias": False,
            "mlp_bias": False,
            "use_cache": True,
            "rope_theta": model_config.rope_theta,  # read by transformers 4, the next by 5
            "rope_parameters": {"rope_type": "default", "rope_theta": model_config.rope_theta},
        }

    def model_block(self, config: Mapping[str, Any]) -> dict[str, Any]:
        rotary = config.get("rope_parameters") or config.get("rope_scaling") or {}
        head_size = config.get("head_dim") or config["hidden_size"] // config["num_attention_heads"]
        unfit = {
            "attention_bias": config.get("attention_bias", False),
            "mlp_bias": config.get("mlp_bias", False),
            "rope_type": rotary.get("rope_type", "default") != "default",
            "head_dim": head_size * config["num_attention_heads"] != config["hidden_size"],
        }
        if any(unfit.values()):
            named = ", ".join(key for key, is_unfit in unfit.items() if is_unfit)
            raise UserError(f"Nanotron's Llama has no such {named}; only a plain Llama can be imported")
        base = rotary.get("rope_theta") or config.get("rope_theta") or 10000.0
        kept = {key: config[key] for key in KEPT if config.get(key) is not None}
        return {"is_llama_config": True, **kept, "rope_theta": float(base)}

    def exported(self, model_config: Any, weight: Callable[[str], torch.Tensor]) -> dict[str, torch.Tensor]:
        tensors = {theirs: weight(ours) for ours, theirs in _plain_names(model_config).items()}
        for layer in range(model_config.num_hidden_layers):
            for ours, names in FUSED.items():
                whole = weight(f"model.decoder.{layer}.pp_block.{ours}")
                for name, part in zip(names, whole.split(_sizes(model_config, ours)), strict=True):
                    part = halves_from_pairs(part, _head_size(model_config)) if name in TURNED else part.contiguous()
                    tensors[f"model.layers.{layer}.{name}"] = part
        return tensors

    def imported(self, model_config: Any, tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        parameters = {ours: tensors[theirs] for ours, theirs in _plain_names(model_config).items()}
        for layer in range(model_config.num_hidden_layers):
            for ours, names in FUSED.items():
                parts = {name: tensors[f"model.layers.{layer}.{name}"] for name in names}
                for name in parts.keys() & set(TURNED):
                    parts[name] = pairs_from_halves(parts[name], _head_size(model_config))
                parameters[f"model.decoder.{layer}.pp_block.{ours}"] = torch.cat(list(parts.values()))
        return parameters

    def load(self, folder: str) -> torch.nn.Module:
        from transformers import LlamaForCausalLM

        return LlamaForCausalLM.from_pretrained(folder).float().eval()
