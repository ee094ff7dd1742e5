"""Layers to compare a Pattention with: the same in other implementations, and others of equal FLOPs.

Each is a function of x [rows, d] and parameters, with the parameters for a shape.
"""

import importlib.util
import math
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from benchmarks.measuring.shapes import Shape
from tokenformer.kernels import pattention

LIMIT = "bare matmuls"
OURS = "ours"


@dataclass(frozen=True)
class Layer:
    """An implementation ready to be measured: `function(x, *parameters)`."""

    function: Callable[..., Tensor]
    parameters: list[Tensor]


def two_products(x: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    """The six matrix products of forward and backward and nothing else: the limit."""
    return (x @ keys.T) @ values


def official_style(x: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    """Operation by operation, in the dtype of x."""
    score = (x @ keys.T) * 1.0
    normalised = score / torch.linalg.vector_norm(score, dim=-1, keepdim=True) * math.sqrt(keys.shape[0])
    return functional.gelu(normalised) @ values


def clean_eager(x: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    """Fewer operations; statistics in fp32."""
    score = x @ keys.T
    return functional.gelu(functional.rms_norm(score, score.shape[-1:], eps=1e-6)) @ values


def ours(x: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    return pattention(x, keys, values, tau=_tau(keys))


def _tau(keys: Tensor) -> Tensor:
    """Made on the device: a number would have to be sent there."""
    return torch.full((1,), math.sqrt(keys.shape[0]), device=keys.device)


def row_kernels(x: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    """Ours by row kernels, whatever the device."""
    return pattention(x, keys, values, tau=_tau(keys), backend="triton")


def checkpointed(x: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    return checkpoint(ours, x, keys, values, use_reentrant=False)


def swiglu(x: Tensor, gate: Tensor, up: Tensor, down: Tensor) -> Tensor:
    return (functional.silu(x @ gate.T) * (x @ up.T)) @ down


def absence_of_a_compiler(device: str) -> str | None:
    """Why `torch.compile` cannot be measured here, if it cannot."""
    if device == "cuda":
        return None if importlib.util.find_spec("triton") else "no triton"
    compilers = [os.environ["CXX"]] if "CXX" in os.environ else ["g++", "clang++"]
    return None if any(shutil.which(name) for name in compilers) else "no C++ compiler"


def implementations(device: str) -> dict[str, Callable[..., Tensor]]:
    """Every implementation that this machine can run, by name; two lines of the table are no Pattention."""
    found = {LIMIT: two_products, "official eager": official_style, "clean eager": clean_eager}
    compiles = absence_of_a_compiler(device) is None
    if compiles:
        # On a CPU one graph for all shapes, since compiling takes longer than measuring.
        found["torch.compile"] = torch.compile(clean_eager, dynamic=device == "cpu")
    found[OURS] = ours
    found["ours, checkpoint"] = checkpointed
    found["SwiGLU"] = swiglu
    if compiles:
        found["SwiGLU, compiled"] = torch.compile(swiglu, dynamic=device == "cpu")
    return found


def is_swiglu(name: str) -> bool:
    return name.startswith("SwiGLU")


def build(function: Callable[..., Tensor], name: str, shape: Shape, dtype: torch.dtype, device: str) -> Layer:
    """The function with random parameters, of the layer's usual scale."""
    generator = torch.Generator(device).manual_seed(0)
    hidden = shape.swiglu_width if is_swiglu(name) else shape.tokens
    scales = [1 / math.sqrt(shape.width)] * (2 if is_swiglu(name) else 1) + [1 / math.sqrt(hidden)]
    parameters = [
        (scale * torch.randn(hidden, shape.width, generator=generator, device=device)).to(dtype).requires_grad_()
        for scale in scales
    ]
    return Layer(function, parameters)
