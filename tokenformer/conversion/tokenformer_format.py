"""A Tokenformer for transformers: the config's fields and the tensors are ours, under names without pipeline blocks.

model.token_position_embeddings.pp_block.token_embedding.weight    model.embed_tokens.weight
model.decoder.I.pp_block.NAME                                      model.layers.I.NAME
model.final_norm.pp_block.NAME                                     model.final_norm.NAME
model.lm_head.pp_block.weight                                      lm_head.weight, if it is not tied
"""

import dataclasses
import re
from collections.abc import Callable, Mapping
from typing import Any

import torch

from tokenformer.model.config import TokenformerConfig

CONFIGURATION, LAYERS, MODELING = "configuration_tokenformer", "layers_tokenformer", "modeling_tokenformer"
CLASSES = {
    "AutoConfig": f"{CONFIGURATION}.TokenformerConfig",
    "AutoModel": f"{MODELING}.TokenformerModel",
    "AutoModelForCausalLM": f"{MODELING}.TokenformerForCausalLM",
    "AutoModelForSequenceClassification": f"{MODELING}.TokenformerForSequenceClassification",
}
FIELDS = tuple(field.name for field in dataclasses.fields(TokenformerConfig))
RENAMED = (  # ours, and transformers'
    ("model.token_position_embeddings.pp_block.token_embedding", "model.embed_tokens"),
    ("model.lm_head.pp_block", "lm_head"),
    ("model.final_norm.pp_block", "model.final_norm"),
)
_OUR_BLOCK = re.compile(r"model\.decoder\.(\d+)\.pp_block\.")


def their_name(name: str) -> str:
    for ours, theirs in RENAMED:
        if name.startswith(ours):
            return theirs + name.removeprefix(ours)
    return _OUR_BLOCK.sub(r"model.layers.\1.", name)


def parameter_names(config: TokenformerConfig) -> list[str]:
    """Our name of every parameter, the tied head left out."""
    names = ["model.token_position_embeddings.pp_block.token_embedding.weight"]
    if not config.tie_word_embeddings:
        names.append("model.lm_head.pp_block.weight")
    names += _norm("model.final_norm.pp_block", config.final_norm)
    for layer in range(config.num_hidden_layers):
        names += _block(config, f"model.decoder.{layer}.pp_block")
    return names


def _norm(name: str, kind: str) -> list[str]:
    return [f"{name}.weight", f"{name}.bias"] if kind == "layer_norm" else [f"{name}.weight"]


def _block(config: TokenformerConfig, block: str) -> list[str]:
    pattention = ["key_tokens", "value_tokens", *(["tau"] if config.tau == "learned" else [])]
    modules = {
        "qkv": [f"{block}.attention.qkv.{name}" for name in ("query", "key", "value")],
        "output": [f"{block}.attention.output"],
        "feed_forward": [f"{block}.feed_forward.pattention"],
    }
    if not config.is_pattention("feed_forward"):
        modules["feed_forward"] = [f"{block}.feed_forward.{name}" for name in ("gate", "up", "down")]
    names = []
    for projection, paths in modules.items():
        leaves = pattention if config.is_pattention(projection) else ["weight"]
        names += [f"{path}.{leaf}" for path in paths for leaf in leaves]
    if config.block_norm_affine:
        for norm in ("attention_norm", "feed_forward_norm"):
            names += _norm(f"{block}.{norm}", config.block_norm)
    return names


class TokenformerFormat:
    """See `formats.Format`."""

    code: tuple[str, ...] = (CONFIGURATION, LAYERS, MODELING)

    def config(self, model_config: TokenformerConfig) -> dict[str, Any]:
        fields = dataclasses.asdict(model_config)
        fields.pop("is_tokenformer_config")
        return {
            "model_type": "tokenformer",
            "architectures": ["TokenformerForCausalLM"],
            "auto_map": CLASSES,
            **fields,
        }

    def model_block(self, config: Mapping[str, Any]) -> dict[str, Any]:
        return {"is_tokenformer_config": True} | {key: config[key] for key in FIELDS if key in config}

    def exported(
        self, model_config: TokenformerConfig, weight: Callable[[str], torch.Tensor]
    ) -> dict[str, torch.Tensor]:
        return {their_name(name): weight(name) for name in parameter_names(model_config)}

    def imported(self, model_config: TokenformerConfig, tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        return {name: tensors[their_name(name)] for name in parameter_names(model_config)}

    def load(self, folder: str) -> torch.nn.Module:
        from tokenformer.hf.modeling_tokenformer import TokenformerForCausalLM

        return TokenformerForCausalLM.from_pretrained(folder).float().eval()
