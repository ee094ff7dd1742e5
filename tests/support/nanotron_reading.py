"""A checkpoint as Nanotron itself reads it."""

from pathlib import Path

import torch

from tokenformer.trainer import bootstrap

bootstrap()
from nanotron import trainer  # noqa: E402 (only after bootstrap)
from nanotron.config import get_config_from_file  # noqa: E402
from nanotron.models import build_model  # noqa: E402
from nanotron.serialize.weights import load_weights  # noqa: E402


def model_by_nanotron(folder: Path, context):
    """The model of a checkpoint's own config and weights; what no file fills is NaN."""
    config = get_config_from_file(str(folder / "config.yaml"))
    model_class = trainer.CONFIG_TO_MODEL_CLASS[type(config.model.model_config).__name__]
    model = build_model(
        lambda: model_class(config.model.model_config, parallel_context=context, parallel_config=config.parallelism),
        context,
        config.model.dtype,
    )
    trainer.mark_tied_parameters(model, context, config.parallelism)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(torch.nan)
    load_weights(model, context, folder)
    return model
