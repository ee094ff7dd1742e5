"""Growth in depth: layers are copied into a deeper model.

The orders, for layers 0 1 2 and factor 2, with copies in brackets; the others are the old layers, in their order:

    stack        0 1 2 (0 1 2)     the whole stack again, G_stack (Du et al. 2024, arXiv:2405.15319)
    interleave   0 (0) 1 (1) 2 (2)
    last         0 1 2 (1 2)       the last `layers` layers again, here 2 (gradual stacking, see arXiv:2409.19044)

A copied layer adds to the residual stream what its source adds, so the grown model computes something else at first.
With `zero_gated` the matrices through which copies write to the stream are zero at birth, as in LLaMA Pro (Wu et al.
2024, arXiv:2401.02415): the value tokens, or the weight, of the attention's output and of the feed-forward layer. The
rest of a copy is its source's, so those matrices get a gradient at once and the function stays exactly what it was.

Adam's moments of a copied layer are its source's. Those of a zero-gated one are zero: nothing behind a zero matrix gets
a gradient at first, and old moments would move it blindly. Initialisations whose spread depends on the number of layers
say how deep a model was at its start; nothing is drawn here, so they play no part.
"""

import dataclasses
from dataclasses import dataclass
from typing import Any

from tokenformer.config.keys import key
from tokenformer.errors import UserError
from tokenformer.growth.operator import GrowthOperator, GrowthPlan, ParameterGrowth, as_it_is, zero
from tokenformer.growth.parameter_name import ParameterName

# Modules whose `weight` writes to the residual stream: linear layers and SwiGLU of the Tokenformer; Nanotron's Llama.
_WRITING_MODULES = ("output", "down", "o_proj", "down_proj")


@dataclass(frozen=True)
class GrownLayer:
    """A layer of the grown model: the old layer it is made of, and whether it is a copy."""

    source: int
    is_copy: bool


@dataclass(frozen=True)
class StackLayers(GrowthOperator):
    """Copies layers."""

    factor: int = key(2, "how many times each of the repeated layers stands in the grown model", least=2)
    order: str = key("stack", "order of the layers; last takes layers too", choices=("stack", "interleave", "last"))
    layers: int | None = key(None, "how many of the last layers `last` repeats", least=1)
    zero_gated: bool = key(False, "true: copies add nothing at first, which keeps the function")

    name = "stack_layers"

    def __post_init__(self):
        super().__post_init__()
        if (self.layers is None) != (self.order != "last"):
            raise UserError("stack_layers: layers says how many layers order: last repeats; give both or neither")

    def is_exact(self, config: Any) -> bool:
        """Only zero-gated copies leave the function as it is."""
        return self.zero_gated

    def grown_layers(self, layers: int) -> list[GrownLayer]:
        """The layers of the grown model, from the number of old ones."""
        if self.order == "interleave":
            return [GrownLayer(layer, copy > 0) for layer in range(layers) for copy in range(self.factor)]
        if self.layers is not None and self.layers > layers:
            raise UserError(f"stack_layers: layers is {self.layers}, and the model has {layers}; repeat fewer")
        repeated = range(layers - (self.layers or layers), layers)
        copies = [GrownLayer(layer, True) for _ in range(self.factor - 1) for layer in repeated]
        return [GrownLayer(layer, False) for layer in range(layers)] + copies

    def grown_config(self, config: Any) -> Any:
        layers = self.grown_layers(config.num_hidden_layers)
        changes: dict[str, Any] = {"num_hidden_layers": len(layers)}
        if hasattr(config, "layer_tokens"):
            own = {tokens.layer: tokens for tokens in config.layer_tokens}
            changes["layer_tokens"] = [
                dataclasses.replace(own[layer.source], layer=index)
                for index, layer in enumerate(layers)
                if layer.source in own
            ]
        return dataclasses.replace(config, **changes)

    def plan(self, before: Any, after: Any) -> GrowthPlan:
        layers = self.grown_layers(before.num_hidden_layers)

        def growth_of(name: ParameterName) -> ParameterGrowth:
            if name.layer is None:
                return ParameterGrowth((name.full,))
            layer = layers[name.layer]
            is_gated = self.zero_gated and layer.is_copy
            return ParameterGrowth(
                (name.in_layer(layer.source),),
                weight=zero if is_gated and _writes_to_stream(name) else as_it_is,
                moment=zero if is_gated else as_it_is,
                new=layer.is_copy,
            )

        return growth_of


def _writes_to_stream(name: ParameterName) -> bool:
    """Tells whether a block adds the outputs of this matrix to the residual stream."""
    if name.kind == "value_tokens":
        return name.projection in ("output", "feed_forward")
    return name.kind == "weight" and name.module in _WRITING_MODULES
