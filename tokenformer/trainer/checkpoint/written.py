"""Writes whole tensors as a Nanotron checkpoint of one process: imported, grown, or read from another layout."""

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from tokenformer.checksums import write_checksums
from tokenformer.data.tokenizer import Tokenizer, load_tokenizer
from tokenformer.devices import default_device, process_count
from tokenformer.errors import UserError
from tokenformer.files import folder_built_beside, refuse_to_replace, write_atomically
from tokenformer.growth.parameter_state import ParameterState
from tokenformer.run_folder.names import CONFIG, CURRICULUM, GROWTH, MODEL_CONFIG, RUN_CONFIG, TOKENIZER
from tokenformer.trainer.bridge.bootstrap import bootstrap
from tokenformer.trainer.bridge.cpu_host import ensure_process_group
from tokenformer.trainer.checkpoint.records import GrowthRecord
from tokenformer.trainer.checkpoint.stored import SCHEDULE, StoredCheckpoint

if TYPE_CHECKING:  # otherwise imported after its bootstrap
    from nanotron.parallel import ParallelContext


@contextmanager
def one_process() -> Iterator["ParallelContext"]:
    """Nanotron's parallel context for this process alone; process group and launch variables do not outlive it.

    Raises:
        UserError: this process is one of several that `torchrun` started, or Nanotron works on another device in it.
    """
    if process_count() > 1:
        raise UserError("a checkpoint is opened and written by one process; start it without torchrun")
    if bootstrap().device != default_device():
        raise UserError(
            f"Nanotron already works on {bootstrap().device} in this process; start another for {default_device()}"
        )
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


def write_checkpoint(
    output: Path,
    model_config: Any,
    parameters: Mapping[str, ParameterState],
    origin: StoredCheckpoint | None = None,
    growth: GrowthRecord | None = None,
    tokenizer: Tokenizer | None = None,
) -> None:
    """Writes a checkpoint that a run of any layout can start from (`model.init_method: {path: OUTPUT}`), and that
    Nanotron can read too. The output is whole, or not there.

    Args:
        output: folder of the checkpoint, which must not exist.
        model_config: of the model that the parameters make.
        parameters: the whole state of every parameter by its name, tied ones once, under the embedding's; all of one
            dtype, all with moments or none, all with an fp32 copy or none. Each is asked for when it is written.
        origin: the checkpoint that they come from: its step, its schedule and its place in the sample plan are kept,
            so that its run can go on. Without one it is step 0 of no run.
        growth: the model's history; that of the origin, or an empty one, if not given.
        tokenizer: of the model; that of the origin, or none, if not given.

    Raises:
        UserError: the output exists, or this process is one of several.
        ValueError: the parameters are not those of the model.
    """
    refuse_to_replace(output)
    with one_process() as context, folder_built_beside(output) as folder:
        like = parameters[next(iter(parameters))]
        config = _nanotron_config(model_config, like.weight.dtype, output.name, origin)
        _write_state(folder, config, parameters, like, context)
        write_atomically(folder / MODEL_CONFIG, json.dumps(asdict(model_config)))
        growth = (
            growth or (origin.growth if origin else None) or GrowthRecord(seed=0, model_config=asdict(model_config))
        )
        write_atomically(folder / GROWTH, json.dumps(asdict(growth), indent=2) + "\n")
        if origin is not None:
            for name in (CURRICULUM, RUN_CONFIG, SCHEDULE):
                _copy_if_there(origin.folder / name, folder / name)
            if tokenizer is None and origin.tokenizer_folder is not None:
                tokenizer = load_tokenizer(origin.tokenizer_folder)
        if tokenizer is not None:
            tokenizer.save(folder / TOKENIZER)
        write_checksums(folder)


def _copy_if_there(source: Path, target: Path) -> None:
    if source.exists():
        target.parent.mkdir(exist_ok=True)
        shutil.copyfile(source, target)


def _write_state(folder: Path, config, parameters: Mapping[str, ParameterState], like: ParameterState, context) -> None:
    """Weights, optimizer, and Nanotron's records, by its own functions; `like` is one of the parameters."""
    from nanotron.helpers import init_optimizer_and_grad_accumulator
    from nanotron.serialize.metadata import save_meta
    from nanotron.serialize.optimizer import save_optimizer
    from nanotron.serialize.weights import save_weights

    from tokenformer.trainer.checkpoint.restore import restore

    model = built_model(config.model.model_config, config.model.dtype, context)
    expected = {name for name, _ in model.get_named_params_with_correct_tied()}
    if expected != set(parameters):
        raise ValueError(f"these parameters do not make this model: {sorted(expected ^ set(parameters))}")
    optimizer = accumulator = None
    if like.moments or like.master is not None:
        settings = _adam_settings(has_masters=like.master is not None)
        optimizer, accumulator = init_optimizer_and_grad_accumulator(model, settings, context)
    restore(model, optimizer, accumulator, parameters.__getitem__)
    save_weights(model, context, folder)
    if optimizer is not None:
        save_optimizer(optimizer, context, folder)
    config.save_as_yaml(folder / CONFIG)
    general = config.general
    progress = {"last_train_step": general.step, "consumed_train_samples": general.consumed_train_samples}
    save_meta(context, folder, progress)


def _nanotron_config(model_config: Any, dtype: torch.dtype, name: str, origin: StoredCheckpoint | None):
    """Nanotron's config of a checkpoint: the model, and no training."""
    from nanotron.config import Config, GeneralArgs, LoggingArgs, ModelArgs, ParallelismArgs, TokenizerArgs
    from nanotron.config.models_config import RandomInit

    step, samples = (origin.step, origin.samples) if origin else (0, 0)
    return Config(
        general=GeneralArgs(project="tokenformer", run=name, step=step, consumed_train_samples=samples),
        parallelism=ParallelismArgs(dp=1, pp=1, tp=1),
        model=ModelArgs(model_config=model_config, init_method=RandomInit(std=0.02), dtype=dtype),
        tokenizer=TokenizerArgs(),
        logging=LoggingArgs(),
    )


def _adam_settings(has_masters: bool):
    """Settings with which an optimizer is made that only holds a state; whoever trains on has his own."""
    from nanotron.config import LRSchedulerArgs, OptimizerArgs

    return OptimizerArgs(
        zero_stage=0,
        weight_decay=0.1,
        clip_grad=None,
        accumulate_grad_in_fp32=has_masters,
        adam_eps=1e-8,
        adam_beta1=0.9,
        adam_beta2=0.95,
        torch_adam_is_fused=True,
        learning_rate_scheduler=LRSchedulerArgs(learning_rate=1e-3, lr_warmup_style="linear", lr_decay_style="linear"),
    )


def built_model(model_config: Any, dtype: torch.dtype, context):
    """A model as Nanotron builds it in one process, with its parameters not yet filled."""
    from nanotron.config import ParallelismArgs
    from nanotron.models import build_model
    from nanotron.trainer import CONFIG_TO_MODEL_CLASS, mark_tied_parameters

    parallelism = ParallelismArgs(dp=1, pp=1, tp=1)
    model_class = CONFIG_TO_MODEL_CLASS[type(model_config).__name__]
    model = build_model(
        lambda: model_class(model_config, parallel_context=context, parallel_config=parallelism), context, dtype
    )
    mark_tied_parameters(model, context, parallelism)
    return model
