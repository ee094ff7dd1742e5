"""The `model_config` block of a YAML as the dataclass of its model type."""

import importlib
from typing import Any

from tokenformer.config.building import build
from tokenformer.errors import UserError

MODEL_CONFIGS = {
    "tokenformer": "tokenformer.model.config:TokenformerConfig",
    "llama": "nanotron.config:LlamaConfig",
}


def model_config_from(block: dict[str, Any], model_type: str, name: str) -> Any:
    """The model's config.

    Args:
        block: the `model_config` mapping.
        model_type: a key of MODEL_CONFIGS.
        name: the config's file, for errors.

    Raises:
        UserError: an unknown model type or key, a missing key or a wrong value.
    """
    if model_type not in MODEL_CONFIGS:
        raise UserError(f"{name}: model type {model_type!r} is not known; choose one of {', '.join(MODEL_CONFIGS)}")
    module, _, attribute = MODEL_CONFIGS[model_type].partition(":")
    if module.startswith("nanotron"):
        from tokenformer.trainer import bootstrap

        bootstrap()
    config_class = getattr(importlib.import_module(module), attribute)
    try:
        return build(block, config_class, "model.model_config", name)
    except UserError as error:
        raise error if str(error).startswith(name) else UserError(f"{name}: {error}") from None
