"""Tells Nanotron about the Tokenformer: its config parser and its table of model classes learn one more type."""

import warnings
from typing import Union

from tokenformer.model.config import TokenformerConfig

REPAIR = "Nanotron's configs and trainer know the model type tokenformer"


def register_model_types() -> None:
    """Adds `TokenformerConfig` to what a YAML's `model_config` may be, and `TokenformerForTraining` to
    `CONFIG_TO_MODEL_CLASS`. Calling it again changes nothing.
    """
    from dacite import cache as dacite_cache
    from nanotron.config import config as nanotron_config

    with warnings.catch_warnings():
        # Nanotron's own data loading wants `datasets`; ours does not use it.
        warnings.filterwarnings("ignore", message="Datasets and/or Transformers not installed")
        from nanotron import trainer

    from tokenformer.model.model import TokenformerForTraining

    trainer.CONFIG_TO_MODEL_CLASS[TokenformerConfig.__name__] = TokenformerForTraining
    arguments = nanotron_config.ModelArgs
    known = arguments.__annotations__["model_config"]
    if TokenformerConfig not in known.__args__:
        # First in the union: dacite takes the first type that fits, and `Any`, which Nanotron lists, always does.
        arguments.__annotations__["model_config"] = Union[(TokenformerConfig, *known.__args__)]
        dacite_cache.clear_cache()
