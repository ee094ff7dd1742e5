"""Finds the parts of this machine that training uses, and the repairs of Nanotron."""

import importlib.metadata
import os
import platform
from collections.abc import Iterator

PACKAGES = ("tokenformer", "torch", "nanotron", "numpy", "transformers", "tokenizers", "datatrove", "safetensors")
OPTIONAL = ("triton", "flash-attn", "lm-eval", "matplotlib", "pandas", "wandb")


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def findings() -> Iterator[tuple[str, str]]:
    """Pairs of what was looked at and what was found."""
    import torch

    from tokenformer.kernels import BACKENDS, choose_backend
    from tokenformer.kernels.triton_probe import triton_obstacle
    from tokenformer.trainer.bridge.bootstrap import bootstrap

    yield "python", platform.python_version()
    for package in (*PACKAGES, *OPTIONAL):
        yield package, _version(package)
    found = bootstrap()
    name = torch.cuda.get_device_name() if found.device == "cuda" else platform.machine()
    yield "device", f"{found.device} ({name}), {os.cpu_count()} cores, {torch.get_num_threads()} threads"
    yield "backend", found.backend
    yield "kernels", f"auto is {choose_backend('auto', found.device)}; there are {', '.join(BACKENDS)}"
    obstacle = triton_obstacle(found.device)
    yield "kernel triton", "runs" if obstacle is None else f"cannot run: {obstacle}"
    yield "attention in Llama", found.attention
    yield "attention in ours", "scaled_dot_product_attention"
    for repair in found.repairs:
        yield "repaired", repair
    for repair in found.needless:
        yield "needs no repair", repair
