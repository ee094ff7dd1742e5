"""The `model_config` block of a YAML as the config that Nanotron builds a model from."""

import dataclasses
from typing import Any

from tokenformer.config.building import build
from tokenformer.errors import UserError
from tokenformer.model.config import MODEL_TYPES, LlamaKeys
from tokenformer.trainer.bridge.bootstrap import bootstrap


def model_config_from(block: dict[str, Any], model_type: str, name: str) -> Any:
    """The model's config.

    Args:
        block: the `model_config` mapping.
        model_type: a key of MODEL_TYPES.
        name: the config's file, for errors.

    Raises:
        UserError: an unknown model type or key, a missing key or a wrong value.
    """
    kind = MODEL_TYPES.find(model_type, f"{name}: model type {model_type!r} is not known")
    config = build(block, kind, "model.model_config", name)
    return _as_nanotron_has_it(config, name) if isinstance(config, LlamaKeys) else config


def _as_nanotron_has_it(config: LlamaKeys, name: str) -> Any:
    bootstrap()
    from nanotron.config import LlamaConfig
    from nanotron.nn.activations import ACT2FN

    if config.hidden_act not in ACT2FN:
        raise UserError(
            f"{name}: model.model_config.hidden_act is {config.hidden_act!r}; choose one of {', '.join(ACT2FN)}"
        )
    given = {key: value for key, value in dataclasses.asdict(config).items() if value is not None}
    return LlamaConfig(**given)
