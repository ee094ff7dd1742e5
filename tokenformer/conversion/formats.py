"""How a model of each type is written for transformers: a format for each `model_type` of config.json."""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import torch

from tokenformer.conversion.llama_format import LlamaFormat
from tokenformer.conversion.tokenformer_format import TokenformerFormat

Weights = Callable[[str], torch.Tensor]


class Format(Protocol):
    """One model type on both sides. A weight is whole, on the CPU, and keeps its dtype and every bit.

    Attributes:
        code: modules of `tokenformer.hf` that an export needs, none where transformers knows the model.
    """

    code: tuple[str, ...]

    def config(self, model_config: Any) -> dict[str, Any]:
        """config.json, but for the special tokens and the dtype."""
        ...

    def model_block(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """The `model_config` block that a config.json stands for.

        Raises:
            UserError: it asks for something that Nanotron's model cannot do.
        """
        ...

    def exported(self, model_config: Any, weight: Weights) -> dict[str, torch.Tensor]:
        """Tensors by transformers' names, from a function that gives ours; tied ones once."""
        ...

    def imported(self, model_config: Any, tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Our parameters by name, tied ones once; the inverse of `exported`.

        Raises:
            KeyError: a tensor is missing.
        """
        ...

    def load(self, folder: str) -> torch.nn.Module:
        """The exported model in fp32, for causal language modelling."""
        ...


FORMATS: dict[str, Format] = {"tokenformer": TokenformerFormat(), "llama": LlamaFormat()}
EMBEDDING = "model.token_position_embeddings.pp_block.token_embedding.weight"
