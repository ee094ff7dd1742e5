"""Pattention by library matrix products with row kernels in Triton between them: the path on CUDA and ROCm.

With theta as in `theta.py`, S = X K^T and A = theta(S), for a group of Pattentions of one X side by side:

    Y_g = A_g V_g     dA_g = dY_g V_g^T     dV_g = A_g^T dY_g     dS = theta'(dA)     dX = dS K     dK = dS^T X

K holds the keys of the whole group one below the other, S, A, dA and dS have its tokens side by side; so each of S,
theta, dX and dK is one product or one launch for the whole group (query, key and value, say), and only what has to do
with a value block V_g is done apart. A single Pattention is a group of one.

Forward and backward pass are two operators of torch, `torch.ops.tokenformer.pattention` and `pattention_backward`, so
that its compiler and selective checkpointing see them whole. An operator has tensors, numbers and strings for
arguments: a process group goes by name, and a group's `segments` and `tau` are those of all members, one after another.
`torch.func` transforms raise.

Matrices are cast to one dtype: that of x, or under autocast that of autocast, which then is the output's too. Gradients
have the dtypes of what they are gradients of. Statistics and theta are fp32 inside; there is no fp64.
"""

from collections.abc import Sequence

import torch
import torch.distributed
from torch import Tensor
from torch.distributed.distributed_c10d import GroupName, _resolve_process_group

from tokenformer.kernels.triton_theta import RowTheta


def _theta(segments: Sequence[int], eps: float, variant: str, gelu: str, group_name: str) -> RowTheta:
    group = _resolve_process_group(GroupName(group_name)) if group_name else None
    return RowTheta(tuple(segments), eps, variant, gelu, group)


def _without_autocast(tensor: Tensor) -> torch.autocast:
    """Leaves dtypes alone: inputs have the wanted one, and autocast around it does not reach the backward pass."""
    return torch.autocast(tensor.device.type, enabled=False)


@torch.library.custom_op("tokenformer::pattention", mutates_args=())
def pattention_operator(
    x: Tensor,
    keys: Tensor,
    values: Sequence[Tensor],
    tau: Tensor,
    segments: Sequence[int],
    eps: float,
    variant: str,
    gelu: str,
    group_name: str,
    keep_score: bool,
) -> tuple[list[Tensor], Tensor, Tensor]:
    """The outputs, and what the backward pass reads; all matrices are of one dtype, fp32 or 16-bit.

    Args:
        x: [rows, d_in].
        keys: of the whole group, [n, d_in].
        values: one of each member of the group, [n_g, d_out_g]; the n_g sum to n.
        tau: [segments].
        keep_score: whether S is returned; otherwise it is overwritten.

    Returns:
        [rows, d_out_g] of each member; S, [rows, n] or empty; statistics, fp32 [rows, segments].
    """
    with _without_autocast(x):
        score = x @ keys.T
        weights = torch.empty_like(score) if keep_score else score
        statistics = _theta(segments, eps, variant, gelu, group_name).forward(score, tau.contiguous(), out=weights)
        parts = weights.split([value.shape[0] for value in values], dim=1)
        outputs = [part @ value for part, value in zip(parts, values, strict=True)]
    return outputs, score if keep_score else x.new_empty(0, keys.shape[0]), statistics


@pattention_operator.register_fake
def _(x, keys, values, tau, segments, eps, variant, gelu, group_name, keep_score):
    rows = x.shape[0]
    outputs = [x.new_empty(rows, value.shape[1]) for value in values]
    score = x.new_empty(rows if keep_score else 0, keys.shape[0])
    return outputs, score, x.new_empty(rows, len(segments), dtype=torch.float32)


@torch.library.custom_op("tokenformer::pattention_backward", mutates_args=())
def pattention_backward_operator(
    grad_outputs: Sequence[Tensor],
    x: Tensor,
    keys: Tensor,
    values: Sequence[Tensor],
    tau: Tensor,
    score: Tensor,
    statistics: Tensor,
    segments: Sequence[int],
    eps: float,
    variant: str,
    gelu: str,
    group_name: str,
    needed: Sequence[bool],
) -> tuple[Tensor, Tensor, list[Tensor], Tensor]:
    """Gradients of x, keys, values and tau; those that `needed` does not want are empty.

    Args:
        grad_outputs: of each member, [rows, d_out_g], of any strides.
        score, statistics: as the forward pass returned them; a compiler may have laid them out anew.
        needed: whether the gradients of x, keys, values and tau are wanted.
    """
    needs_x, needs_keys, needs_values, needs_tau = needed
    theta, tokens = _theta(segments, eps, variant, gelu, group_name), [value.shape[0] for value in values]
    tau, score, statistics = tau.contiguous(), score.contiguous(), statistics.contiguous()
    grad_x, grad_keys, grad_tau = x.new_empty(0), keys.new_empty(0), tau.new_empty(0)
    grad_values = [value.new_empty(0) for value in values]
    with _without_autocast(x):
        weights = torch.empty_like(score) if needs_values else None
        if needs_x or needs_keys or needs_tau:
            grad = torch.empty_like(score)
            for grad_output, value, part in zip(grad_outputs, values, grad.split(tokens, dim=1), strict=True):
                torch.mm(grad_output, value.T, out=part)
            dots = theta.backward_(grad, score, statistics, tau, out=weights)
            if needs_x:
                grad_x = grad @ keys
            if needs_keys:
                grad_keys = grad.T @ x
            if needs_tau:
                grad_tau = theta.grad_tau(dots, statistics, tau)
        elif weights is not None:
            theta.weights(score, statistics, tau, out=weights)
        if weights is not None:
            parts = weights.split(tokens, dim=1)
            grad_values = [part.T @ grad_output for part, grad_output in zip(parts, grad_outputs, strict=True)]
    return grad_x, grad_keys, grad_values, grad_tau


@pattention_backward_operator.register_fake
def _(grad_outputs, x, keys, values, tau, score, statistics, segments, eps, variant, gelu, group_name, needed):
    def grad(tensor, is_needed):
        return tensor.new_empty(tensor.shape if is_needed else 0)

    needs_x, needs_keys, needs_values, needs_tau = needed
    grad_values = [grad(value, needs_values) for value in values]
    return grad(x, needs_x), grad(keys, needs_keys), grad_values, grad(tau, needs_tau)


def _keep(ctx, inputs, output) -> None:
    x, keys, values, tau, *ctx.settings, _ = inputs  # without keep_score
    outputs, score, statistics = output
    ctx.save_for_backward(x, keys, tau, score, statistics, *values)
    ctx.output_shapes = [(output.shape, output.dtype, output.device) for output in outputs]
    ctx.set_materialize_grads(False)  # the score has no gradient, and a zero one would be as large as it


def _differentiate(ctx, grad_outputs, _grad_score, _grad_statistics):
    x, keys, tau, score, statistics, *values = ctx.saved_tensors
    needs_x, needs_keys, needs_values, needs_tau, *_ = ctx.needs_input_grad
    grad_outputs = [
        torch.zeros(shape, dtype=dtype, device=device) if grad is None else grad
        for grad, (shape, dtype, device) in zip(grad_outputs, ctx.output_shapes, strict=True)
    ]
    needed = [needs_x, needs_keys, any(needs_values), needs_tau]
    grad_x, grad_keys, grad_values, grad_tau = pattention_backward_operator(
        grad_outputs, x, keys, values, tau, score, statistics, *ctx.settings, needed
    )
    grads = (
        grad_x if needs_x else None,
        grad_keys if needs_keys else None,
        [grad if is_needed else None for grad, is_needed in zip(grad_values, needs_values, strict=True)],
        grad_tau if needs_tau else None,
    )
    return *grads, *[None] * 6


def _refuse(ctx, *grads):
    raise RuntimeError("this kernel is once differentiable; choose kernel 'reference' for higher derivatives")


pattention_operator.register_autograd(_differentiate, setup_context=_keep)
pattention_backward_operator.register_autograd(_refuse)


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
) -> list[Tensor]:
    """As `torch_backend.grouped_pattention`, with [.., d_out_g] of each member in the dtype of the matrix products.

    Raises:
        ValueError: fp64, or tensors on several devices.
    """
    device = x.device.type
    dtype = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else x.dtype
    _check(x, [*keys, *values, *tau], dtype)
    rows = x.reshape(-1, x.shape[-1]).to(dtype)  # [rows, d_in]
    all_keys = keys[0] if len(keys) == 1 else torch.cat(list(keys))  # [n, d_in]
    all_tau = tau[0] if len(tau) == 1 else torch.cat(list(tau))  # [segments]
    trained = torch.is_grad_enabled() and any(tensor.requires_grad for tensor in (x, all_keys, all_tau, *values))
    outputs, _, _ = pattention_operator(
        rows,
        all_keys.to(dtype),
        [value.to(dtype) for value in values],
        all_tau,
        [size for sizes in segments for size in sizes],
        eps,
        variant,
        gelu,
        group.group_name if group is not None and group.size() > 1 else "",
        trained,
    )
    return [output.view(*x.shape[:-1], output.shape[-1]) for output in outputs]
