"""Chooses a backend by name and checks what is handed to it."""

import math
from collections.abc import Sequence

import torch

from tokenformer.kernels import reference, torch_backend
from tokenformer.kernels.reference import GELU_APPROXIMATIONS
from tokenformer.kernels.theta import VARIANTS

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


def _check(x, keys, values, segments, tau, eps, variant, gelu) -> None:
    if keys.ndim != 2 or values.ndim != 2 or keys.shape[0] != values.shape[0]:
        raise ValueError(
            f"keys [n, d_in] and values [n, d_out] need one n, not {tuple(keys.shape)} and {tuple(values.shape)}"
        )
    if x.shape[-1] != keys.shape[1]:
        raise ValueError(f"x has {x.shape[-1]} features in its last dimension and the keys have {keys.shape[1]}")
    if sum(segments) != keys.shape[0] or min(segments) < 1:
        raise ValueError(f"segments {list(segments)} do not cut {keys.shape[0]} parameter tokens")
    if tau.shape != (len(segments),):
        raise ValueError(f"{len(segments)} segments need as many tau, not {tuple(tau.shape)}")
    if not eps >= 0:
        raise ValueError(f"eps is {eps}; it must be 0 or more")
    if variant not in VARIANTS:
        raise ValueError(f"variant {variant!r} is not known; choose one of {', '.join(VARIANTS)}")
    if gelu not in GELU_APPROXIMATIONS:
        raise ValueError(f"gelu {gelu!r} is not known; choose one of {', '.join(GELU_APPROXIMATIONS)}")


def _tau_tensor(tau, segments: Sequence[int], device: torch.device) -> torch.Tensor:
    """tau as a tensor [segments], in fp64 unless it is a tensor already."""
    if isinstance(tau, torch.Tensor):
        return tau
    if tau is None:
        tau = [math.sqrt(size) for size in segments]
    elif isinstance(tau, int | float):
        tau = [tau] * len(segments)
    return torch.tensor(tau, dtype=torch.float64, device=device)


def pattention(
    x: torch.Tensor,
    keys: torch.Tensor,
    values: torch.Tensor,
    *,
    tau: float | Sequence[float] | torch.Tensor | None = None,
    eps: float = 1e-6,
    variant: str = "l2_norm_gelu",
    gelu: str = "erf",
    segments: Sequence[int] | None = None,
    backend: str = "auto",
    group: "torch.distributed.ProcessGroup | None" = None,
) -> torch.Tensor:
    """Attention between inputs and parameter tokens: `theta(x K^T) V`; the formulas are in `reference`.

    Args:
        x: [.., d_in].
        keys: key tokens, [n, d_in].
        values: value tokens, [n, d_out].
        tau: scale of the normalised scores: one number, one a segment, or a tensor [segments], which may want a
            gradient; None is the square root of a segment's size.
        eps: mean-square eps inside the root; 0 is the official code's formula.
        variant: "l2_norm_gelu", "gelu_l2_norm" or "softmax".
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
    tau = _tau_tensor(tau, segments, x.device)
    _check(x, keys, values, segments, tau, eps, variant, gelu)
    function = BACKENDS[choose_backend(backend)]
    options = {"segments": segments, "tau": tau, "eps": eps, "variant": variant, "gelu": gelu}
    if group is not None and group.size() > 1:
        if function is not torch_backend.pattention:
            raise ValueError(f"kernel {backend!r} does not shard parameter tokens; choose auto or torch")
        options["group"] = group
    return function(x, keys, values, **options)
