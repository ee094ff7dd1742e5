"""A growth operator for tests: it asks of the engine what the package's own operators may ask, all in one event.

Layers are copied, so blocks change their number and their pipeline stage. The head parts from the embedding, so a
parameter comes from one of another name, and two come from one. The final norm is made of two norms that stand far
apart.
"""

import dataclasses
import re

import torch

from tokenformer.growth import OPERATORS

EMBEDDING = "model.token_position_embeddings.pp_block.token_embedding.weight"
HEAD = "model.lm_head.pp_block.weight"
# Each final norm is mixed with the first norm of the model.
MIXED = {
    "model.final_norm.pp_block.weight": "model.decoder.0.pp_block.attention_norm.weight",
    "model.final_layer_norm.pp_block.weight": "model.decoder.0.pp_block.input_layernorm.weight",
}


@dataclasses.dataclass(frozen=True)
class DoubledLayers:
    """Every layer twice, one after the other."""

    name = "doubled_layers"
    model_types = ("tokenformer", "llama")

    def check_dtype(self, dtype):
        pass

    def is_exact(self, config):
        return False

    def grown_config(self, config):
        return dataclasses.replace(config, num_hidden_layers=2 * config.num_hidden_layers, tie_word_embeddings=False)

    def sources(self, name, before, after):
        if name == HEAD:
            return (EMBEDDING,)
        if name in MIXED:
            return name, MIXED[name]
        return (re.sub(r"decoder\.(\d+)\.", lambda match: f"decoder.{int(match[1]) // 2}.", name),)

    def grown_parameter(self, name, old, before, after, context):
        if name in MIXED:
            return (old[name] + old[MIXED[name]]) / 2
        return old[self.sources(name, before, after)[0]]

    def grown_moment(self, name, old, power, before, after):
        if name in MIXED:
            return old[name] / 2**power
        return old[self.sources(name, before, after)[0]]

    def new_part(self, name, before, after):
        layer = re.search(r"decoder\.(\d+)\.", name)
        return torch.tensor(layer is not None and int(layer[1]) % 2 == 1)

    def learning_rate_factor(self, name, before, after):
        return 0.5 if name.endswith(("value_tokens", "o_proj.weight")) else 1.0


OPERATORS[DoubledLayers.name] = DoubledLayers
