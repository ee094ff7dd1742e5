"""Pattention by row kernels in Triton: the path on CUDA and ROCm.

Matrices are cast to one dtype: that of x, or under autocast that of autocast, which then is the output's too. Gradients
have the dtypes of what they are gradients of. Statistics and theta are fp32 inside; there is no fp64.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from tokenformer.kernels import ops


def _matrix_dtype(x: Tensor) -> torch.dtype:
    """The dtype of matrix products."""
    device = x.device.type
    return torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else x.dtype


def _check(x: Tensor, others: Sequence[Tensor], dtype: torch.dtype) -> None:
    if dtype not in (torch.float32, torch.float16, torch.bfloat16):
        raise ValueError(f"kernel triton computes in fp32 and does not take {dtype}; choose torch or reference")
    if any(other.device != x.device for other in others):
        devices = ", ".join(sorted({str(other.device) for other in others}))
        raise ValueError(f"x is on {x.device} and its parameters are on {devices}; move them to one device")


def grouped_pattention(
    x: Tensor,
    keys: Sequence[Tensor],
    values: Sequence[Tensor],
    *,
    segments: Sequence[Sequence[int]],
    tau: Sequence[Tensor],
    eps: float,
    variant: str,
    gelu: str,
    group: "torch.distributed.ProcessGroup | None" = None,
    recompute: bool = False,
    chunk_rows: int = 0,
) -> list[Tensor]:
    """Several Pattentions of one x, as query, key and value are: one product with all keys and one launch for theta.

    Args:
        x: [.., d_in].
        keys: of each member, [n_g, d_in].
        values: of each member, [n_g, d_out_g].
        segments: of each member, as for `pattention`.
        tau: of each member, [segments].
        eps, variant, gelu: of all members.
        group: as for `torch_backend.pattention`.
        recompute: the score is made again in the backward pass and not kept: a seventh product for the six of forward
            and backward, and no memory that grows with rows times tokens.
        chunk_rows: rows at a time, which bounds the memory in between; 0 is all.

    Returns:
        [.., d_out_g] of each member, in the dtype of the matrix products.

    Raises:
        ValueError: fp64, or tensors on several devices.
    """
    dtype = _matrix_dtype(x)
    _check(x, [*keys, *values, *tau], dtype)
    rows = x.reshape(-1, x.shape[-1]).to(dtype)  # [rows, d_in]
    all_keys = keys[0] if len(keys) == 1 else torch.cat(list(keys))  # [n, d_in]
    all_tau = tau[0] if len(tau) == 1 else torch.cat(list(tau))  # [segments]
    trained = torch.is_grad_enabled() and any(tensor.requires_grad for tensor in (x, all_keys, all_tau, *values))
    outputs, _, _ = ops.pattention(
        rows,
        all_keys.to(dtype),
        [value.to(dtype) for value in values],
        all_tau,
        [size for sizes in segments for size in sizes],
        eps,
        variant,
        gelu,
        group.group_name if group is not None and group.size() > 1 else "",
        trained and not recompute,
        chunk_rows,
    )
    return [output.view(*x.shape[:-1], output.shape[-1]) for output in outputs]


def pattention(
    x: Tensor,
    keys: Tensor,
    values: Tensor,
    *,
    segments: Sequence[int],
    tau: Tensor,
    eps: float,
    variant: str,
    gelu: str,
    group: "torch.distributed.ProcessGroup | None" = None,
    recompute: bool = False,
    chunk_rows: int = 0,
) -> Tensor:
    """As `torch_backend.pattention`; [.., d_in] to [.., d_out], a group of one for `grouped_pattention`."""
    (output,) = grouped_pattention(
        x,
        [keys],
        [values],
        segments=[segments],
        tau=[tau],
        eps=eps,
        variant=variant,
        gelu=gelu,
        group=group,
        recompute=recompute,
        chunk_rows=chunk_rows,
    )
    return output
