"""Finds out if Triton's kernels run here, by running one."""

import functools
import importlib.util
import os

import torch

from tokenformer.kernels.triton_theta import RowTheta


def is_interpreted() -> bool:
    """Tells whether Triton's kernels run in its interpreter: on a CPU too, for tests, and slowly."""
    return os.environ.get("TRITON_INTERPRET", "0") == "1"


@functools.cache
def triton_obstacle(device_type: str) -> str | None:
    """Why Triton's kernels cannot run on a type of device, such as "cuda", in words; None if they can.

    Tried once a process: a Triton that is there need not find a compiler, or know the card.
    """
    if importlib.util.find_spec("triton") is None:
        return "the package 'triton' is not installed: pip install 'tokenformer[gpu]'"
    if device_type != "cuda" and not is_interpreted():  # ROCm's devices are called cuda too
        return f"it needs a CUDA or ROCm GPU, and this is {device_type}"
    try:
        score = torch.linspace(-1, 1, 32, device=device_type).view(2, 16)
        found = torch.empty_like(score)
        tau = torch.full((1,), 4.0, device=device_type)
        RowTheta((16,), 1e-6, "l2_norm_gelu", "erf").forward(score, tau, out=found)
        expected = torch.nn.functional.gelu(torch.nn.functional.rms_norm(score, (16,), eps=1e-6))
        if not torch.allclose(found, expected, atol=1e-4):
            return "its first kernel computes something else than torch does"
    except Exception as error:
        reason = (str(error).strip() or "no reason given").splitlines()[0]
        return f"its first kernel fails with {type(error).__name__}: {reason}"
    return None
