"""Any model that a user may name, opened for scoring: a Nanotron checkpoint, an export, or any Hugging Face model."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from tokenformer.devices import choose_device
from tokenformer.errors import UserError
from tokenformer.evaluation.huggingface_network import HuggingFaceNetwork
from tokenformer.evaluation.networks import LogitsFunction, TokenNetwork
from tokenformer.evaluation.requests import TextEncoder
from tokenformer.evaluation.runners.options import ModelSource
from tokenformer.run_folder.names import MODEL_CONFIG
from tokenformer.trainer.checkpoint.loaded_model import loaded_model, tokenizer_of
from tokenformer.trainer.checkpoint.stored import StoredCheckpoint

OUR_MODEL_TYPE = "tokenformer"
"""The `model_type` in the config.json of an export."""

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def _torch_dtype(source: ModelSource, stored: torch.dtype) -> torch.dtype:
    """The dtype to compute in."""
    return stored if source.dtype == "auto" else DTYPES[source.dtype]


@dataclass(frozen=True)
class OpenedModel:
    """A model, how it reads text, and what to report of it.

    `decode` makes text of token ids; `end_of_text` is the id that ends a text.
    """

    network: TokenNetwork
    encoder: TextEncoder
    decode: Callable[[list[int]], str]
    end_of_text: int
    parameters: int
    dtype: str


@contextmanager
def opened_model(source: ModelSource) -> Iterator[OpenedModel]:
    """The model, for as long as the context lasts.

    Raises:
        UserError: there is no such model, it has no tokenizer, or what it needs is not installed.
    """
    if source.dtype != "auto" and source.dtype not in DTYPES:
        raise UserError(f"the dtype {source.dtype!r} is not known; choose auto, {', '.join(DTYPES)}")
    if (Path(source.model) / MODEL_CONFIG).is_file():
        with _opened_checkpoint(source) as model:
            yield model
    elif Path(source.model).is_dir() and not (Path(source.model) / "config.json").is_file():
        StoredCheckpoint(Path(source.model))  # which says what is missing
        raise UserError(f"{source.model} is neither a checkpoint nor a Hugging Face model")
    else:
        yield _opened_hugging_face(source)


@contextmanager
def _opened_checkpoint(source: ModelSource) -> Iterator[OpenedModel]:
    stored = StoredCheckpoint(Path(source.model))
    tokenizer = tokenizer_of(stored, Path(source.tokenizer) if source.tokenizer else None)
    dtype = _torch_dtype(source, stored.dtype)
    with loaded_model(stored, dtype, source.device) as model:
        device = next(model.parameters()).device

        def logits(ids: torch.Tensor) -> torch.Tensor:
            return model.model(input_ids=ids, input_mask=torch.ones_like(ids, dtype=torch.bool)).transpose(0, 1)

        prefix = tokenizer.end_of_document_id
        yield OpenedModel(
            network=LogitsFunction(logits, device, stored.model_config.max_position_embeddings),
            encoder=TextEncoder(tokenizer.encode_batch, tokenizer.encode_batch, prefix),
            decode=tokenizer.decode,
            end_of_text=prefix,
            parameters=sum(parameter.numel() for parameter in model.parameters()),
            dtype=str(dtype).removeprefix("torch."),
        )


def _opened_hugging_face(source: ModelSource) -> OpenedModel:
    try:
        from transformers import AutoTokenizer
    except ImportError as error:
        raise UserError("a Hugging Face model needs pip install tokenformer[eval]") from error
    if source.tokenizer and not Path(source.tokenizer).is_dir():
        raise UserError(f"the tokenizer {source.tokenizer} is no folder; give one with a tokenizer.json")
    device = choose_device(source.device)
    trusted = source.trust_remote_code
    if not trusted and (Path(source.model) / "custom_generate").exists():
        raise UserError(f"{source.model} brings code, custom_generate; the option trust_remote_code lets it run")
    revision = {} if source.revision is None else {"revision": source.revision}
    try:
        # Code of another folder than the model's is never run.
        code = trusted and source.tokenizer is None
        tokenizer = AutoTokenizer.from_pretrained(
            source.tokenizer or source.model, trust_remote_code=code, **({} if source.tokenizer else revision)
        )
        model = _model_class(source, revision).from_pretrained(source.model, trust_remote_code=trusted, **revision)
    except (OSError, ValueError, KeyError, ImportError) as error:
        hint = ""
        if not trusted and "trust_remote_code" in str(error):
            hint = "; the option trust_remote_code lets its code run"
        raise UserError(f"{source.model} cannot be opened as a Hugging Face model{hint}: {error}") from error
    model = model.to(device=device, dtype=_torch_dtype(source, model.dtype)).eval()
    prefix = tokenizer.bos_token_id if tokenizer.bos_token_id is not None else tokenizer.eos_token_id
    if prefix is None:
        raise UserError(f"the tokenizer of {source.model} has neither a bos_token nor an eos_token; name one in it")
    return OpenedModel(
        network=HuggingFaceNetwork(model),
        encoder=TextEncoder(_encode(tokenizer, add_special_tokens=False), _encode(tokenizer), prefix),
        decode=tokenizer.decode,
        end_of_text=prefix if tokenizer.eos_token_id is None else tokenizer.eos_token_id,
        parameters=model.num_parameters(),
        dtype=str(model.dtype).removeprefix("torch."),
    )


def _model_class(source: ModelSource, revision: dict[str, str]) -> Any:
    """Our installed class for an export, whatever code lies beside it, unless the user trusts that code."""
    from transformers import AutoModelForCausalLM, PretrainedConfig

    settings, _ = PretrainedConfig.get_config_dict(source.model, **revision)
    if settings.get("model_type") != OUR_MODEL_TYPE or source.trust_remote_code:
        return AutoModelForCausalLM
    from tokenformer.hf.modeling_tokenformer import TokenformerForCausalLM

    return TokenformerForCausalLM


def _encode(tokenizer: Any, **settings: Any) -> Callable[[list[str]], list[list[int]]]:
    def encode(texts: list[str]) -> list[list[int]]:
        return tokenizer(texts, **settings)["input_ids"] if texts else []

    return encode
