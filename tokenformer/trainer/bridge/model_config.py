"""The `model_config` block of a YAML as the dataclass of its model type."""

import importlib
from typing import Any

from tokenformer.config.building import build
from tokenformer.errors import UserError
from tokenformer.trainer.bridge.bootstrap import bootstrap

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
    bootstrap()  # Nanotron's own configs need it, and ours do not mind
    config_class = getattr(importlib.import_module(module), attribute)
    try:
        config = build(block, config_class, "model.model_config", name)
        CHECKS.get(model_type, lambda config: None)(config)
    except UserError as error:
        raise error if str(error).startswith(name) else UserError(f"{name}: {error}") from None
    return config


def _check_llama(config: Any) -> None:
    """What Nanotron would only notice while it builds the model."""
    from nanotron.nn.activations import ACT2FN

    for key in ("hidden_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads", "intermediate_size"):
        if getattr(config, key) < 1:
            raise UserError(f"model_config.{key} is {getattr(config, key)}; it must be 1 or more")
    for key, divisor in (("hidden_size", "num_attention_heads"), ("num_attention_heads", "num_key_value_heads")):
        if getattr(config, key) % getattr(config, divisor):
            raise UserError(
                f"model_config.{key} {getattr(config, key)} is not a multiple of {divisor} {getattr(config, divisor)}"
            )
    if config.hidden_act not in ACT2FN:
        raise UserError(f"model_config.hidden_act is {config.hidden_act!r}; choose one of {', '.join(ACT2FN)}")


CHECKS = {"llama": _check_llama}
