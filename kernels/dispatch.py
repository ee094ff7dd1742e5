"""Chooses a backend by name and checks what is handed to it."""

import math
from collections.abc import Sequence

import torch

from tokenformer.kernels import reference, torch_backend
from tokenformer.kernels.reference import GELU_APPROXIMATIONS

BACKENDS = {"torch": torch_backend.pattention, "reference": reference.pattention}


def choose_backend(name: str) -> str:
    """The backend that `name` stands for: itself, or for "auto" the fastest that this machine has.

    Raises:
        ValueError: the name is none of "auto" and the keys of BACKENDS.
    """
    if name == "auto":
        return "torch"
    if name not in BACKENDS:
        raise ValueError(f"kernel {name!r} is not known; choose one of auto, {', '.join(BACKENDS)}")
    return name


def _check(x, keys, values, segments, tau, eps, gelu) -> None:
    if keys.ndim != 2 or values.ndim != 2 or keys.shape[0] != values.shape[0]:
        raise ValueError(
            f"keys [n, d_in] and values [n, d_out] need one n, not {tuple(keys.shape)} and {tuple(values.shape)}"
        )
    if x.shape[-1] != keys.shape[1]:
        raise ValueError(f"x has {x.shape[-1]} features in its last dimension and the keys have {keys.shape[1]}")
    if sum(segments) != keys.shape[0] or min(segments) < 1:
        raise ValueError(f"segments {list(segments)} do not cut {keys.shape[0]} parameter tokens")
    if len(tau) != len(segments):
        raise ValueError(f"{len(segments)} segments need as many tau, not {len(tau)}")
    if not eps >= 0:
        raise ValueError(f"eps is {eps}; it must be 0 or more")
    if gelu not in GELU_APPROXIMATIONS:
        raise ValueError(f"gelu {gelu!r} is not known; choose one of {', '.join(GELU_APPROXIMATIONS)}")


def pattention(
    x: torch.Tensor,
    keys: torch.Tensor,
    values: torch.Tensor,
    *,
    tau: float | Sequence[float] | None = None,
    eps: float = 1e-6,
    gelu: str = "erf",
    segments: Sequence[int] | None = None,
    backend: str = "auto",
    group: "torch.distributed.ProcessGroup | None" = None,
) -> torch.Tensor:
    """Attention between inputs and parameter tokens: `gelu(normalise(x K^T)) V`; the formula is in `reference`.

    Args:
        x: [.., d_in].
        keys: key tokens, [n, d_in].
        values: value tokens, [n, d_out].
        tau: scale of the normalised scores, one number or one a segment; None is the square root of a segment's size.
        eps: mean-square eps inside the root; 0 is the official code's formula.
        gelu: "erf" or "tanh".
        segments: sizes of the blocks of tokens that are normalised apart; None is one block.
        backend: "auto", "torch" or "reference".
        group: tensor-parallel group over which the tokens are sharded ("torch" only); see `torch_backend.pattention`.

    Returns:
        [.., d_out], in the dtype of x.

    Raises:
        ValueError: shapes, segments or names that do not fit, before anything is computed.
    """
    segments = [keys.shape[0]] if segments is None else segments
    if tau is None:
        tau = [math.sqrt(size) for size in segments]
    elif isinstance(tau, int | float):
        tau = [tau] * len(segments)
    _check(x, keys, values, segments, tau, eps, gelu)
    function = BACKENDS[choose_backend(backend)]
    if group is not None and group.size() > 1:
        if function is not torch_backend.pattention:
            raise ValueError(f"kernel {backend!r} does not shard parameter tokens; choose auto or torch")
        return function(x, keys, values, segments=segments, tau=tau, eps=eps, gelu=gelu, group=group)
    return function(x, keys, values, segments=segments, tau=tau, eps=eps, gelu=gelu)
