"""Checkpoints with random weights, written in a moment, and what Nanotron's model computes with them."""

from pathlib import Path
from typing import Any

import torch

from tokenformer.growth.parameter_state import ParameterState
from tokenformer.model.config import TokenformerConfig
from tokenformer.trainer.checkpoint.stored import StoredCheckpoint
from tokenformer.trainer.checkpoint.written import built_model, one_process, write_checkpoint

VOCABULARY = 300
SIZES = {
    "hidden_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 3,
    "vocab_size": VOCABULARY,
    "max_position_embeddings": 32,
}
TOKENS = {"qkv_tokens": 10, "output_tokens": 14, "feed_forward_tokens": 20}


def tokenformer_config(**changes) -> TokenformerConfig:
    return TokenformerConfig(**{**SIZES, **TOKENS, "rotary_fraction": 0.5, **changes})


def llama_config(**changes) -> Any:
    from tokenformer.trainer.bridge.bootstrap import bootstrap

    bootstrap()
    from nanotron.config import LlamaConfig

    return LlamaConfig(**{**SIZES, "num_attention_heads": 6, "intermediate_size": 40, "pad_token_id": None, **changes})


def write_random_checkpoint(folder: Path, config: Any, dtype: torch.dtype = torch.float32, seed: int = 0) -> Path:
    """Weights are far from any initialisation: norms are not 1, and a learned tau is not the stored one."""
    generator = torch.Generator().manual_seed(seed)
    with one_process() as parallel:
        shapes = {
            name: parameter.shape
            for name, parameter in built_model(config, dtype, parallel).get_named_params_with_correct_tied()
        }
    states = {
        name: ParameterState((torch.randn(shape, generator=generator) * 0.15 + centre(name)).to(dtype))
        for name, shape in shapes.items()
    }
    write_checkpoint(folder, config, states)
    return folder


def centre(name: str) -> float:
    return 3.0 if name.endswith("tau") else 1.0 if "norm.weight" in name or "norm.pp_block.weight" in name else 0.0


@torch.no_grad()
def trained_states(checkpoint: Path, ids: torch.Tensor) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """Logits [batch, length, vocabulary] of Nanotron's model, and its states [batch, length, hidden]: the embedding,
    each block, and last the final norm in place of the last block."""
    from tokenformer.trainer.checkpoint.restore import restore

    stored, states = StoredCheckpoint(checkpoint), []
    with one_process() as parallel:
        model = built_model(stored.model_config, torch.float32, parallel)
        restore(model, None, None, lambda name: ParameterState(stored.weight(name).float()))
        inner = model.model
        norm = inner.final_norm if hasattr(inner, "final_norm") else inner.final_layer_norm
        for block in (inner.token_position_embeddings, *inner.decoder, norm):
            block.register_forward_hook(lambda module, inputs, output: states.append(first_tensor(output)))
        logits = inner(input_ids=ids, input_mask=torch.ones_like(ids, dtype=torch.bool))
    states = [state.transpose(0, 1) for state in states]
    return logits.transpose(0, 1), [*states[:-2], states[-1]]


def first_tensor(output: dict) -> torch.Tensor:
    return output.get("hidden_states", output.get("input_embeds"))
