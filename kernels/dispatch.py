"""Chooses a backend by name and checks what is handed to it."""

import functools
import math
import warnings
from collections.abc import Sequence

import torch

from tokenformer.kernels import reference, torch_backend, triton_backend
from tokenformer.kernels.reference import GELU_APPROXIMATIONS
from tokenformer.kernels.theta import VARIANTS
from tokenformer.kernels.triton_probe import is_interpreted, triton_obstacle

# Each takes a group of Pattentions of one x, as `reference.grouped_pattention` does.
BACKENDS = {
    "triton": triton_backend.grouped_pattention,
    "torch": torch_backend.grouped_pattention,
    "reference": reference.grouped_pattention,
}
SHARDING = ("triton", "torch")  # those that know a tensor-parallel group


@functools.cache
def _chosen(name: str, device_type: str) -> str:
    if name == "auto":
        if device_type != "cuda" or is_interpreted():
            return "torch"
        obstacle = triton_obstacle(device_type)
        if obstacle is not None:
            warnings.warn(f"kernel torch is used, since triton cannot run: {obstacle}", stacklevel=4)
        return "triton" if obstacle is None else "torch"
    if name not in BACKENDS:
        raise ValueError(f"kernel {name!r} is not known; choose one of auto, {', '.join(BACKENDS)}")
    obstacle = triton_obstacle(device_type) if name == "triton" else None
    if obstacle is not None:
        raise ValueError(f"kernel 'triton' cannot run: {obstacle}. Choose auto, torch or reference")
    return name


def choose_backend(name: str, device_type: str | None = None) -> str:
    """The backend that `name` stands for: itself, or for "auto" triton on a GPU where it runs, and otherwise torch.

    Chosen once a process for each name and type of device; so is said once, in a warning, that triton does not run.

    Args:
        device_type: "cuda" or "cpu"; None is the GPU if there is one.

    Raises:
        ValueError: the name is none of "auto" and the keys of BACKENDS, or "triton" cannot run.
    """
    return _chosen(name, device_type or ("cuda" if torch.cuda.is_available() else "cpu"))


# What `torch.compiler.assume_constant_result` does, without importing the compiler: compiled code has the choice in it.
choose_backend._dynamo_marked_constant = True


def _wants_plain_operations() -> bool:
    """Tells whether `torch.export` or a transform of `torch.func`, such as `vmap`, looks into what is computed."""
    if torch.compiler.is_compiling():
        return torch.compiler.is_exporting()
    return torch._C._are_functorch_transforms_active()


def _check_names(eps, variant, gelu) -> None:
    if not eps >= 0:
        raise ValueError(f"eps is {eps}; it must be 0 or more")
    if variant not in VARIANTS:
        raise ValueError(f"variant {variant!r} is not known; choose one of {', '.join(VARIANTS)}")
    if gelu not in GELU_APPROXIMATIONS:
        raise ValueError(f"gelu {gelu!r} is not known; choose one of {', '.join(GELU_APPROXIMATIONS)}")


def _check_member(x, keys, values, segments, tau) -> None:
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


def _tau_tensor(tau, segments: Sequence[int], device: torch.device) -> torch.Tensor:
    """tau as a tensor [segments], in fp64 unless it is a tensor already."""
    if isinstance(tau, torch.Tensor):
        return tau
    if tau is None:
        tau = [math.sqrt(size) for size in segments]
    elif isinstance(tau, int | float):
        tau = [tau] * len(segments)
    return torch.tensor(tau, dtype=torch.float64, device=device)


def grouped_pattention(
    x: torch.Tensor,
    keys: Sequence[torch.Tensor],
    values: Sequence[torch.Tensor],
    *,
    tau: Sequence[float | Sequence[float] | torch.Tensor | None] | None = None,
    eps: float = 1e-6,
    variant: str = "l2_norm_gelu",
    gelu: str = "erf",
    segments: Sequence[Sequence[int]] | None = None,
    backend: str = "auto",
    group: "torch.distributed.ProcessGroup | None" = None,
) -> tuple[torch.Tensor, ...]:
    """Several Pattentions of one x, such as query, key and value: one product with all keys, one sum over the ranks.

    Args:
        x: [.., d_in].
        keys: key tokens of each member, [n, d_in] with an n of its own.
        values: value tokens of each member, [n, d_out] with a d_out of its own.
        tau, segments: one for each member, as `pattention` takes them; None is the default for all.
        eps, variant, gelu, backend, group: as `pattention` takes them, for all members.

    Returns:
        [.., d_out] of each member, what `pattention` gives for it alone.

    Raises:
        ValueError: shapes, segments or names that do not fit, before anything is computed.
    """
    segments = [[block.shape[0]] for block in keys] if segments is None else segments
    tau = [None] * len(keys) if tau is None else tau
    if not 0 < len(keys) == len(values) == len(segments) == len(tau):
        raise ValueError(
            f"every member of a group needs keys, values, segments and tau; there are {len(keys)}, {len(values)}, "
            f"{len(segments)} and {len(tau)}"
        )
    tau = [_tau_tensor(given, sizes, x.device) for given, sizes in zip(tau, segments, strict=True)]
    _check_names(eps, variant, gelu)
    for member in zip(keys, values, segments, tau, strict=True):
        _check_member(x, *member)
    name = "torch" if backend == "auto" and x.dtype == torch.float64 else choose_backend(backend, x.device.type)
    if _wants_plain_operations():
        name = "reference"
    options = {"segments": segments, "tau": tau, "eps": eps, "variant": variant, "gelu": gelu}
    if group is not None and group.size() > 1:
        if name not in SHARDING:
            raise ValueError(
                f"kernel {backend!r} does not shard parameter tokens; choose auto, {' or '.join(SHARDING)}"
            )
        options["group"] = group
    return tuple(BACKENDS[name](x, keys, values, **options))


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
        backend: "auto", "triton", "torch" or "reference"; see `choose_backend`. Triton computes in fp32 inside, so auto
            is torch for float64. In `torch.export` and `torch.func` each of them is the reference.
        group: tensor-parallel group over which the tokens are sharded; see `torch_backend.grouped_pattention`. Not for
            "reference".

    Returns:
        [.., d_out], in the dtype of x.

    Raises:
        ValueError: before anything is computed: shapes, segments or names do not fit, or the backend cannot run.
    """
    blocks = None if segments is None else [segments]
    options = {"eps": eps, "variant": variant, "gelu": gelu, "backend": backend, "group": group}
    return grouped_pattention(x, [keys], [values], tau=[tau], segments=blocks, **options)[0]
