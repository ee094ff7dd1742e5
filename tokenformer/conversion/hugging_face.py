"""Reads a Hugging Face folder, an export or any plain Llama, as a Nanotron checkpoint."""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from tokenformer.config.building import build
from tokenformer.conversion.export import CONFIG, RECORD
from tokenformer.conversion.formats import FORMATS
from tokenformer.data.tokenizer import Tokenizer, load_tokenizer
from tokenformer.errors import UserError
from tokenformer.growth.parameter_state import ParameterState
from tokenformer.model.flops import model_size
from tokenformer.trainer.bridge.model_config import model_config_from
from tokenformer.trainer.checkpoint.records import GrowthRecord
from tokenformer.trainer.checkpoint.written import write_checkpoint

# What an export's config.json takes from the tokenizer, and the trained config need not have had.
SPECIAL_TOKENS = ("bos_token_id", "eos_token_id", "pad_token_id")


def is_hugging_face_model(source: Path) -> bool:
    """Tells whether `source` is a folder with a config.json that names its `model_type`."""
    try:
        return "model_type" in json.loads((source / CONFIG).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False


def import_model(source: Path, output: Path) -> str:
    """Writes the weights of a folder as a Nanotron checkpoint, an export's bit for bit as they were.

    Args:
        source: what `tokenformer export` wrote, the same trained further with transformers, or a plain Llama.
        output: folder of the checkpoint, which must not exist.

    Returns:
        What the model is, in one line.

    Raises:
        UserError: the model is of another type, a file or tensor is missing, or the output exists.
    """
    config = _read(source / CONFIG)
    model_type = config["model_type"]
    if model_type not in FORMATS:
        raise UserError(f"{source / CONFIG} is of a {model_type}; only {' and '.join(FORMATS)} can be imported")
    form, record = FORMATS[model_type], _read(source / RECORD) if (source / RECORD).exists() else {}
    block = _model_block(form.model_block(config), record.get("model_config"), source)
    model_config = model_config_from(block, model_type, str(source / CONFIG))
    try:
        parameters = form.imported(model_config, _tensors(source))
    except KeyError as error:
        raise UserError(f"{source} lacks the tensor {error}, which its {CONFIG} asks for") from error
    history = record.get("growth")
    growth = None if history is None else build(history, GrowthRecord, "growth", str(source / RECORD))
    states = {name: ParameterState(tensor) for name, tensor in parameters.items()}
    size = model_size(model_config).parameters
    if sum(tensor.numel() for tensor in parameters.values()) != size:
        raise UserError(f"the tensors of {source} do not make the model of {size:,} parameters that {CONFIG} describes")
    tokenizer, without = _tokenizer(source)
    write_checkpoint(output, model_config, states, growth=growth, tokenizer=tokenizer)
    return f"{output}: a {model_type} of {size:,} parameters{without}"


def _tokenizer(source: Path) -> tuple[Tokenizer | None, str]:
    """The tokenizer beside the model; for none that can be carried along, why not."""
    try:
        return load_tokenizer(source), ""
    except UserError as error:
        return None, f", without a tokenizer: {error}"


def _read(path: Path) -> dict[str, Any]:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read: {error}") from error


def _model_block(block: dict[str, Any], trained: dict[str, Any] | None, source: Path) -> dict[str, Any]:
    """The trained `model_config` where it is recorded, since it tells what config.json cannot.

    Raises:
        UserError: config.json was changed.
    """
    if trained is None:
        return block
    for key in block.keys() & trained.keys() - set(SPECIAL_TOKENS):
        if block[key] != trained[key]:
            raise UserError(
                f"{source / CONFIG} has {key}: {block[key]!r}, and {RECORD} beside it {trained[key]!r}; remove "
                f"{RECORD} if the change was meant"
            )
    return trained


def _tensors(source: Path) -> dict[str, torch.Tensor]:
    paths = sorted(source.glob("*.safetensors"))
    if not paths:
        raise UserError(f"{source} holds no .safetensors; save the model with safe_serialization=True")
    tensors = {}
    for path in paths:
        try:
            tensors |= load_file(path)
        except (OSError, SafetensorError) as error:
            raise UserError(f"{path} is damaged or was not copied whole: {error}") from error
    return tensors
