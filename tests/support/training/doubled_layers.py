"""A growth operator for tests: it asks of the engine what the package's own operators may ask, all in one event.

Layers are copied, so blocks change their number and their pipeline stage. The head parts from the embedding, so a
parameter comes from one of another name, and two come from one. The final norm is made of two norms that stand far
apart.
"""

import dataclasses

from tokenformer.growth.operator import GrowthOperator, ParameterGrowth

EMBEDDING = "model.token_position_embeddings.pp_block.token_embedding.weight"
HEAD = "model.lm_head.pp_block.weight"
# Each final norm is mixed with the first norm of the model.
MIXED = {
    "model.final_norm.pp_block.weight": "model.decoder.0.pp_block.attention_norm.weight",
    "model.final_layer_norm.pp_block.weight": "model.decoder.0.pp_block.input_layernorm.weight",
}


@dataclasses.dataclass(frozen=True)
class DoubledLayers(GrowthOperator):
    """Every layer twice, one after the other."""

    name = "doubled_layers"

    def grown_config(self, config):
        return dataclasses.replace(config, num_hidden_layers=2 * config.num_hidden_layers, tie_word_embeddings=False)

    def plan(self, before, after):
        def growth_of(name):
            factor = 0.5 if name.full.endswith(("value_tokens", "o_proj.weight")) else 1.0
            if name.full in MIXED:
                return ParameterGrowth(
                    (name.full, MIXED[name.full]),
                    weight=lambda norm, other, generator: (norm + other) / 2,
                    moment=lambda norm, other, power: norm / 2**power,
                )
            if name.layer is None:
                return ParameterGrowth((EMBEDDING if name.full == HEAD else name.full,))
            source = name.in_layer(name.layer // 2)
            return ParameterGrowth((source,), new=name.layer % 2 == 1, learning_rate_factor=factor)

        return growth_of
