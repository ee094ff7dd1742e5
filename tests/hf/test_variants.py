"""Every variant of the model computes in transformers what it computes in the trainer, layer by layer."""

import pytest
import torch

from tests.support.random_checkpoints import (
    VOCABULARY,
    llama_config,
    tokenformer_config,
    trained_states,
    write_random_checkpoint,
)
from tokenformer.conversion.export import export_checkpoint
from tokenformer.conversion.formats import FORMATS
from tokenformer.model.config import LayerTokens, TokenSegment

SEGMENTS = [TokenSegment(10, 3.0), TokenSegment(6, 2.4)]
VARIANTS = {
    "as the paper": {"rotary_fraction": 0.25},
    "whole heads turn": {"rotary_fraction": 1.0, "rope_theta": 100.0},
    "no positions": {"rotary_fraction": 0.0},
    "rms norms": {"block_norm": "rms_norm", "final_norm": "rms_norm"},
    "learned norms": {"block_norm_affine": True, "norm_eps": 0.1},
    "learned rms norms": {"block_norm": "rms_norm", "block_norm_affine": True},
    "grouped queries, untied": {"num_key_value_heads": 1, "tie_word_embeddings": False},
    "tanh gelu": {"gelu": "tanh"},
    "official": {"tau": "current", "pattention_eps": 0.0},
    "large eps": {"pattention_eps": 0.1, "qkv_tokens": SEGMENTS},
    "softmax": {"theta": "softmax", "qkv_tokens": SEGMENTS},
    "gelu before the norm": {"theta": "gelu_l2_norm", "qkv_tokens": SEGMENTS},
    "learned tau": {"tau": "learned", "output_tokens": SEGMENTS},
    "learned tau, softmax": {"tau": "learned", "theta": "softmax", "feed_forward_tokens": SEGMENTS},
    "linear projections": {"qkv_layer": "linear", "output_layer": "linear", "num_key_value_heads": 1},
    "swiglu": {"feed_forward_layer": "swiglu", "swiglu_width": 40},
    "all linear": {"feed_forward_layer": "swiglu", "swiglu_width": 40, "qkv_layer": "linear", "output_layer": "linear"},
    "layers of different size": {"layer_tokens": [LayerTokens(1, qkv_tokens=6, feed_forward_tokens=SEGMENTS)]},
    "documents": {"document_mask": True, "eos_token_id": 5},
}
LLAMAS = {
    "llama": {"num_key_value_heads": 6, "tie_word_embeddings": True},
    "llama of grouped queries": {"num_key_value_heads": 2},
    "llama with another base": {"num_key_value_heads": 2, "rope_theta": 500000.0, "rms_norm_eps": 1e-3},
    "llama with gelu": {"hidden_act": "gelu", "rope_theta": 20.0},
}


def configured(name: str):
    return tokenformer_config(**VARIANTS[name]) if name in VARIANTS else llama_config(**LLAMAS[name])


@pytest.mark.parametrize("name", [*VARIANTS, *LLAMAS])
def test_every_layer_agrees_with_the_trainer(name, trained_tokenizer, tmp_path):
    checkpoint = write_random_checkpoint(tmp_path / "checkpoint", configured(name))
    export_checkpoint(checkpoint, tmp_path / "export", trained_tokenizer, is_verified=False)
    ids = torch.randint(VOCABULARY, (3, 32), generator=torch.Generator().manual_seed(1))
    ids[0, 10], ids[1, 3] = 5, 5
    logits, states = trained_states(checkpoint, ids)
    model = FORMATS["tokenformer" if name in VARIANTS else "llama"].load(str(tmp_path / "export"))
    with torch.no_grad():
        output = model(ids, output_hidden_states=True)
    assert logits.std() > 0.3 and len(states) == len(output.hidden_states) == 3
    for ours, theirs in zip([*states, logits], [*output.hidden_states, output.logits], strict=True):
        torch.testing.assert_close(theirs, ours, rtol=0, atol=1e-5)
