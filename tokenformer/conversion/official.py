"""Reads a released checkpoint of the official Tokenformer (Haiyang-W/TokenFormer, its GPU code) as one of ours.

A released `pytorch_model.bin` is a pickled dictionary of 10 L + 3 tensors for L layers of width d:

    sequential.0.word_embeddings.weight                                               [vocabulary, d]
    sequential.{2 + i}.attention.{query,key,value,proj}.{key,value}_param_tokens      [n, d]
    sequential.{2 + i}.mlp.{key,value}_param_tokens                                   [n, d]
    sequential.{L + 3}.norm.{weight,bias}                                             [d]

with the layer i and the number n of parameter tokens, whose rows are the tokens. The embedding is the head too, and the
norms of the blocks hold nothing. So every tensor is one of ours as it stands. What else defines the function is in the
official code and configs, and these fields of `model_config` say it:

    theta: l2_norm_gelu          gelu: erf                   tau: current             pattention_eps: 0
    block_norm: layer_norm       block_norm_affine: false    final_norm: layer_norm   norm_eps: 1e-5
    rotary_fraction: 0.25        rope_theta: 10000           tie_word_embeddings: true

The number of heads is in no tensor: the released models of width 768, 1024, 1280 and 1536 have 12, 16, 16 and 16.
"""

import pickle
import re
import zipfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from tokenformer.errors import UserError
from tokenformer.growth.parameter_state import ParameterState
from tokenformer.model.config import TokenformerConfig
from tokenformer.model.flops import tokenformer_size
from tokenformer.trainer.checkpoint.written import write_checkpoint

FILE_NAMES = ("pytorch_model.bin", "model.safetensors")
EMBEDDING = "sequential.0.word_embeddings.weight"
FIRST_BLOCK, AFTER_BLOCKS = 2, 3  # block i is `sequential.{2 + i}`, the final norm `sequential.{layers + 3}`
# Pattention of an official block: the module of ours, and the field of `TokenformerConfig` with its number of tokens.
PATTENTIONS = {
    "attention.query": ("attention.qkv.query", "qkv_tokens"),
    "attention.key": ("attention.qkv.key", "qkv_tokens"),
    "attention.value": ("attention.qkv.value", "qkv_tokens"),
    "attention.proj": ("attention.output", "output_tokens"),
    "mlp": ("feed_forward.pattention", "feed_forward_tokens"),
}
RELEASED_HEADS = {768: 12, 1024: 16, 1280: 16, 1536: 16}  # by width
HEAD_SIZE = 64  # where the width is none of these
RELEASED_CONTEXT = 2048  # context of the models trained on the Pile; those trained on OpenWebText2 have 1024
DTYPES = (torch.float32, torch.float16, torch.bfloat16)

_BLOCK_KEY = re.compile(r"sequential\.(\d+)\.(?:attention|mlp)\.")
_FINAL_NORM_KEY = re.compile(r"sequential\.(\d+)\.norm\.")


def load_tensors(source: Path) -> dict[str, Any]:
    """Loads the tensors of a checkpoint file, or of that file in a folder, by name.

    Raises:
        UserError: there is no such file, or it is neither a pickle of tensors alone nor safetensors.
    """
    path = _checkpoint_file(source)
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        # Only the present format of torch.save can be mapped; it is a zip file.
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    except (OSError, EOFError, RuntimeError, ValueError, pickle.UnpicklingError, SafetensorError) as error:
        raise UserError(
            f"{path} cannot be read: it is neither a pickle of tensors alone nor safetensors, or it is damaged"
        ) from error
    if not isinstance(content, dict):
        raise UserError(f"{path} holds no dictionary of tensors; give a released {FILE_NAMES[0]}")
    return content


def _checkpoint_file(source: Path) -> Path:
    if not source.is_dir():
        if not source.exists():
            raise UserError(f"there is no checkpoint {source}")
        return source
    found = [source / name for name in FILE_NAMES if (source / name).exists()]
    if len(found) != 1:
        count = "more than one" if found else "none"
        raise UserError(f"the folder {source} holds {count} of {', '.join(FILE_NAMES)}; give the file itself")
    return found[0]


@dataclass(frozen=True)
class OfficialSizes:
    """Sizes of an official model, with our names."""

    num_hidden_layers: int
    hidden_size: int
    vocab_size: int
    qkv_tokens: int
    output_tokens: int
    feed_forward_tokens: int

    @classmethod
    def from_shapes(cls, shapes: Mapping[str, tuple[int, ...]]) -> "OfficialSizes":
        """The sizes that most tensors have; what no tensor tells is 0, and then these tensors are missing."""
        matrices = {name: shape for name, shape in shapes.items() if len(shape) == 2}
        tokens = {
            field: _most_common(
                shape[0]
                for name, shape in matrices.items()
                for theirs, (_, own_field) in PATTENTIONS.items()
                if own_field == field and f".{theirs}." in name
            )
            for field in ("qkv_tokens", "output_tokens", "feed_forward_tokens")
        }
        return cls(
            num_hidden_layers=_layers(shapes),
            hidden_size=_most_common(shape[1] for shape in matrices.values()),
            vocab_size=matrices.get(EMBEDDING, (0, 0))[0],
            **tokens,
        )


def _most_common(numbers: Iterable[int]) -> int:
    return max(Counter(numbers).items(), key=lambda item: item[1], default=(0, 0))[0]


def _layers(names: Iterable[str]) -> int:
    """Number of layers, by the place of the final norm, or without one by that of the last block."""
    names = list(names)
    norms = [int(match[1]) for match in map(_FINAL_NORM_KEY.match, names) if match]
    blocks = [int(match[1]) for match in map(_BLOCK_KEY.match, names) if match]
    layers = max(norms) - AFTER_BLOCKS if norms else max(blocks, default=0) - FIRST_BLOCK + 1
    return max(layers, 0)


def official_tensors(layers: int) -> Iterator[tuple[str, str, str | None]]:
    """Every tensor of an official checkpoint: its name, that of our parameter, and the size with its rows, if any."""
    final_norm = f"sequential.{layers + AFTER_BLOCKS}.norm"
    yield EMBEDDING, "model.token_position_embeddings.pp_block.token_embedding.weight", "vocab_size"
    yield f"{final_norm}.weight", "model.final_norm.pp_block.weight", None
    yield f"{final_norm}.bias", "model.final_norm.pp_block.bias", None
    for layer in range(layers):
        for theirs, (ours, field) in PATTENTIONS.items():
            for kind in ("key", "value"):
                official = f"sequential.{layer + FIRST_BLOCK}.{theirs}.{kind}_param_tokens"
                yield official, f"model.decoder.{layer}.pp_block.{ours}.{kind}_tokens", field


def official_shapes(sizes: OfficialSizes) -> dict[str, tuple[int, ...]]:
    """Shape of every tensor of an official checkpoint."""
    hidden = sizes.hidden_size
    tensors = official_tensors(sizes.num_hidden_layers)
    return {name: (getattr(sizes, field), hidden) if field else (hidden,) for name, _, field in tensors}


def check_layout(content: Mapping[str, Any], source: Path) -> OfficialSizes:
    """The sizes of a checkpoint that holds what an official one does.

    Raises:
        UserError: with every tensor that is missing, unexpected, or of a wrong shape or dtype.
    """
    tensors = {str(name): value for name, value in content.items() if isinstance(value, torch.Tensor)}
    sizes = OfficialSizes.from_shapes({name: tuple(tensor.shape) for name, tensor in tensors.items()})
    expected = official_shapes(sizes)
    known = {name: tensor for name, tensor in tensors.items() if name in expected}
    dtype = Counter(tensor.dtype for tensor in known.values() if tensor.dtype in DTYPES).most_common(1)
    problems = {
        "missing": [name for name in expected if name not in tensors],
        "unexpected": [str(name) for name in content if name not in expected],
        "wrong shape": [
            f"{name} {list(tensor.shape)} for {list(expected[name])}"
            for name, tensor in known.items()
            if tuple(tensor.shape) != expected[name]
        ],
        "wrong dtype": [
            f"{name} {tensor.dtype} for {dtype[0][0] if dtype else DTYPES[0]}"
            for name, tensor in known.items()
            if not dtype or tensor.dtype != dtype[0][0]
        ],
    }
    if any(problems.values()):
        listed = "; ".join(f"{kind}: {', '.join(names)}" for kind, names in problems.items() if names)
        raise UserError(
            f"{source} is no checkpoint of the official Tokenformer with {sizes.num_hidden_layers} layers; {listed}"
        )
    return sizes


def _usual_heads(hidden_size: int) -> int:
    if hidden_size in RELEASED_HEADS:
        return RELEASED_HEADS[hidden_size]
    if hidden_size % HEAD_SIZE:
        raise UserError(f"no released model has the width {hidden_size}; give its number of heads as the option heads")
    return hidden_size // HEAD_SIZE


def official_config(sizes: OfficialSizes, heads: int | None, context_length: int) -> TokenformerConfig:
    """The `model_config` that computes what the official code does.

    Args:
        heads: None is that of the released model of this width, and 64 features a head where there is none.
        context_length: tokens of the longest context.

    Raises:
        UserError: the heads do not divide the width, or are not known.
    """
    hidden = sizes.hidden_size
    if heads is None:
        heads = _usual_heads(hidden)
    if heads < 1 or hidden % heads:
        raise UserError(f"heads {heads} does not divide the model's width {hidden}")
    return TokenformerConfig(
        **vars(sizes),
        num_attention_heads=heads,
        max_position_embeddings=context_length,
        theta="l2_norm_gelu",
        gelu="erf",
        tau="current",
        pattention_eps=0.0,
        block_norm="layer_norm",
        block_norm_affine=False,
        final_norm="layer_norm",
        norm_eps=1e-5,
        rotary_fraction=0.25,
        rope_theta=10000.0,
        tie_word_embeddings=True,
    )


def import_checkpoint(
    source: Path, output: Path, heads: int | None = None, context_length: int = RELEASED_CONTEXT
) -> str:
    """Writes a released checkpoint as a Nanotron checkpoint.

    Args:
        source: `pytorch_model.bin`, a `.safetensors` file, or a folder with one of them.
        output: folder of the checkpoint, which must not exist.
        heads: see `official_config`.
        context_length: tokens; see `official_config`.

    Returns:
        What the model is, in one line.

    Raises:
        UserError: the source is no official checkpoint, or the output exists.
    """
    content = load_tensors(source)
    sizes = check_layout(content, source)
    config = official_config(sizes, heads, context_length)
    tensors = official_tensors(sizes.num_hidden_layers)
    write_checkpoint(output, config, {ours: ParameterState(content[theirs]) for theirs, ours, _ in tensors})
    return (
        f"{output}: {tokenformer_size(config).parameters:,} parameters, {config.num_hidden_layers} layers of width "
        f"{config.hidden_size}, {config.num_attention_heads} heads, {config.qkv_tokens}, {config.output_tokens} and "
        f"{config.feed_forward_tokens} tokens of each q, k, v, of the output and of the feed-forward layer"
    )
