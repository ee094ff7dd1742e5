"""Writes weights that no run of ours has trained as a Nanotron checkpoint."""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import torch

from tokenformer.data.atomic_write import write_atomically
from tokenformer.errors import UserError
from tokenformer.model.config import TokenformerConfig
from tokenformer.trainer.bootstrap import bootstrap
from tokenformer.trainer.checkpoint import GROWTH, GrowthRecord
from tokenformer.trainer.cpu_host import ensure_process_group


@contextmanager
def one_process() -> Iterator["ParallelContext"]:  # noqa: F821 (nanotron is imported after its bootstrap)
    """Nanotron's parallel context for this process alone; process group and launch variables do not outlive it.

    Raises:
        UserError: this process is one of several that `torchrun` started.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise UserError("a checkpoint is imported by one process; start it without torchrun")
    bootstrap()
    from nanotron.parallel import ParallelContext

    environment, started = dict(os.environ), not torch.distributed.is_initialized()
    ensure_process_group()
    try:
        yield ParallelContext(tensor_parallel_size=1, pipeline_parallel_size=1, data_parallel_size=1)
    finally:
        if started:
            torch.distributed.destroy_process_group()
        os.environ.clear()
        os.environ.update(environment)


def _nanotron_config(model_config: TokenformerConfig, dtype: torch.dtype, name: str):
    """Nanotron's config of a checkpoint: the model, and no training."""
    from nanotron.config import Config, GeneralArgs, LoggingArgs, ModelArgs, ParallelismArgs, TokenizerArgs
    from nanotron.config.models_config import RandomInit

    return Config(
        general=GeneralArgs(project="tokenformer", run=name, step=0, consumed_train_samples=0),
        parallelism=ParallelismArgs(dp=1, pp=1, tp=1),
        model=ModelArgs(model_config=model_config, init_method=RandomInit(std=0.02), dtype=dtype),
        tokenizer=TokenizerArgs(),
        logging=LoggingArgs(),
    )


@torch.no_grad()
def _built_model(config, weights: Mapping[str, torch.Tensor], context):
    from nanotron.models import build_model
    from nanotron.trainer import CONFIG_TO_MODEL_CLASS, mark_tied_parameters

    model_class = CONFIG_TO_MODEL_CLASS[type(config.model.model_config).__name__]
    model = build_model(
        lambda: model_class(config.model.model_config, parallel_context=context, parallel_config=config.parallelism),
        context,
        config.model.dtype,
    )
    mark_tied_parameters(model, context, config.parallelism)
    parameters = dict(model.named_parameters())
    if parameters.keys() != weights.keys():
        raise ValueError(f"these weights do not make this model: {sorted(parameters.keys() ^ weights.keys())}")
    for name, parameter in parameters.items():
        parameter.copy_(weights[name])
    return model


def write_checkpoint(
    folder: Path, model_config: TokenformerConfig, weights: Mapping[str, torch.Tensor], name: str
) -> None:
    """Fills an empty folder with a checkpoint of step 0: weights, configs and an empty growth history, no optimizer.

    Nanotron starts a run from it with `model.init_method: {path: FOLDER}`.

    Args:
        weights: every parameter, whole and of one dtype, by its name in a model without parallelism; tied ones once,
            under the embedding's name.
        name: of the run, for the record.

    Raises:
        UserError: this process is one of several.
        ValueError: the weights are not those of the model.
    """
    dtype = next(iter(weights.values())).dtype
    with one_process() as context:
        from nanotron.serialize.metadata import save_meta
        from nanotron.serialize.weights import save_weights

        config = _nanotron_config(model_config, dtype, name)
        save_weights(_built_model(config, weights, context), context, folder)
        config.save_as_yaml(folder / "config.yaml")
        save_meta(context, folder, {"last_train_step": 0, "consumed_train_samples": 0})
        write_atomically(folder / "model_config.json", json.dumps(asdict(model_config)))
        growth = GrowthRecord(config.general.seed, asdict(model_config))
        write_atomically(folder / GROWTH, json.dumps(asdict(growth), indent=2) + "\n")
