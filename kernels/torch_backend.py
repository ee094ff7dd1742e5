"""Pattention as one autograd function made of ATen calls, in place where nothing else can see it.

The path on a CPU, and wherever there is no Triton. Statistics and GELU are fp32. On a CPU 16-bit inputs are computed in
fp32 inside: without bf16 units the 16-bit matrix product is some 20 times slower, and less accurate.

With Z = r S and A = gelu(Z) the backward pass is (notation of `reference`; c and r per row and segment)

    dA = dY V^T     dV = A^T dY     dZ = dA gelu'(Z)     c = sum_j dZ_j Z_j
    dS = r (dZ - Z c / tau^2)       dX = dS K            dK = dS^T X

which uses r^2 = tau^2 / (sum S^2 + tau^2 eps) and so holds for every eps. Under tensor parallelism each rank holds a
share of every segment's tokens: the sums of squares and c are summed over the group, one number a row and segment; Y
and dX come out partial, and the caller reduces them.
"""

from collections.abc import Sequence

import torch
import torch.distributed
from torch.nn import functional

from tokenformer.kernels.reference import GELU_APPROXIMATIONS

_gelu_backward_into = torch.ops.aten.gelu_backward.grad_input


def _compute_dtype(x: torch.Tensor) -> torch.dtype:
    """The dtype of matrix products."""
    return torch.float32 if x.device.type == "cpu" and x.dtype in (torch.bfloat16, torch.float16) else x.dtype


def _statistics_dtype(dtype: torch.dtype) -> torch.dtype:
    return torch.float32 if dtype in (torch.bfloat16, torch.float16) else dtype


def _sum_over(group, statistic: torch.Tensor) -> torch.Tensor:
    if group is not None and group.size() > 1:
        torch.distributed.all_reduce(statistic, group=group)
    return statistic


def _row_scales(score: torch.Tensor, segments, tau, eps: float, group) -> torch.Tensor:
    """r of every row and segment: score [rows, n] to [rows, segments]."""
    norms = [torch.linalg.vector_norm(part, dim=-1) for part in score.split(segments, dim=-1)]
    square_sums = _sum_over(group, torch.stack(norms, dim=-1).square_())  # [rows, segments]
    scale = square_sums.new_tensor(tau)  # [segments]
    return scale * torch.rsqrt(square_sums + scale.square() * eps)


def _scale_segments_(matrix: torch.Tensor, segments, factors: torch.Tensor) -> None:
    """Multiplies each segment of [rows, n] in place by its column of factors [rows, segments]."""
    for index, part in enumerate(matrix.split(segments, dim=-1)):
        part.mul_(factors[:, index : index + 1])


def _segment_dots(left: torch.Tensor, right: torch.Tensor, segments) -> torch.Tensor:
    """Row-wise dot products in each segment: two [rows, n] to [rows, segments]."""
    pairs = zip(left.split(segments, dim=-1), right.split(segments, dim=-1), strict=True)
    return torch.stack([torch.linalg.vecdot(a, b) for a, b in pairs], dim=-1)


def _theta_backward_(grad_weights, normalised, scales, segments, tau, approximate: str, group) -> torch.Tensor:
    """dS from dA, in the memory of dA: all of them [rows, n], scales [rows, segments]."""
    grad = grad_weights
    _gelu_backward_into(grad, normalised, approximate=approximate, grad_input=grad)  # dZ
    dots = _sum_over(group, _segment_dots(grad, normalised, segments))  # c, [rows, segments]
    factors = dots.div_(dots.new_tensor(tau).square_()).neg_()
    for index, (part, other) in enumerate(zip(grad.split(segments, -1), normalised.split(segments, -1), strict=True)):
        part.addcmul_(other, factors[:, index : index + 1]).mul_(scales[:, index : index + 1])
    return grad


class _Pattention(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, keys, values, segments, tau, eps, approximate, group):
        rows = x.reshape(-1, x.shape[-1])  # [rows, d_in]
        dtype = _compute_dtype(x)
        score = rows.to(dtype) @ keys.to(dtype).T  # [rows, n]
        score = score.to(_statistics_dtype(dtype))
        scales = _row_scales(score, segments, tau, eps, group)
        _scale_segments_(score, segments, scales)  # score is Z from here on
        weights = functional.gelu(score, approximate=approximate).to(dtype)  # [rows, n]
        output = weights @ values.to(dtype)  # [rows, d_out]
        ctx.save_for_backward(x, keys, values, score, scales)
        ctx.segments, ctx.tau, ctx.approximate, ctx.group = segments, tau, approximate, group
        return output.to(x.dtype).view(*x.shape[:-1], values.shape[-1])

    @staticmethod
    def backward(ctx, grad_output):
        arguments = ctx.segments, ctx.tau, ctx.approximate, ctx.group, ctx.needs_input_grad[:3]
        return *_PattentionBackward.apply(grad_output, *ctx.saved_tensors, *arguments), None, None, None, None, None


class _PattentionBackward(torch.autograd.Function):
    """The backward pass as a function of its own, so that differentiating it raises and never passes unnoticed."""

    @staticmethod
    def forward(ctx, grad_output, x, keys, values, normalised, scales, segments, tau, approximate, group, needed):
        needs_x, needs_keys, needs_values = needed
        dtype = _compute_dtype(x)
        rows = x.reshape(-1, x.shape[-1])
        grad_rows = grad_output.reshape(-1, grad_output.shape[-1]).to(dtype)  # [rows, d_out]
        grad_x = grad_keys = grad_values = None
        if needs_values:
            weights = functional.gelu(normalised, approximate=approximate).to(dtype)
            grad_values = (weights.T @ grad_rows).to(values.dtype)
            del weights
        if needs_x or needs_keys:
            grad_weights = (grad_rows @ values.to(dtype).T).to(normalised.dtype)  # [rows, n]
            grad_score = _theta_backward_(grad_weights, normalised, scales, segments, tau, approximate, group).to(dtype)
            if needs_x:
                grad_x = (grad_score @ keys.to(dtype)).to(x.dtype).view_as(x)
            if needs_keys:
                grad_keys = (grad_score.T @ rows.to(dtype)).to(keys.dtype)
        return grad_x, grad_keys, grad_values

    @staticmethod
    def backward(ctx, *grad_outputs):
        raise RuntimeError("this kernel is once differentiable; choose kernel 'reference' for higher derivatives")


def pattention(
    x: torch.Tensor,
    keys: torch.Tensor,
    values: torch.Tensor,
    *,
    segments: Sequence[int],
    tau: Sequence[float],
    eps: float,
    gelu: str,
    group: "torch.distributed.ProcessGroup | None" = None,
) -> torch.Tensor:
    """As `reference.pattention`, once differentiable; x [.., d_in] to [.., d_out].

    With a `group` of several ranks, `keys` and `values` hold this rank's rows of every segment, `segments` are the
    local sizes and `tau` the global scales; the result and the gradient of x are partial sums.
    """
    approximate = GELU_APPROXIMATIONS[gelu]
    return _Pattention.apply(x, keys, values, list(segments), list(tau), eps, approximate, group)
