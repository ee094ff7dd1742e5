"""Pattention as one autograd function made of ATen calls, in place where nothing else can see it.

The path on a CPU, and wherever there is no Triton. Statistics and GELU are fp32. On a CPU 16-bit inputs are computed in
fp32 inside: without bf16 units the 16-bit matrix product is some 20 times slower, and less accurate.

With theta as in `theta.py`, S = X K^T and A = theta(S), the backward pass is

    dA = dY V^T     dV = A^T dY     dS = theta'(dA)     dX = dS K     dK = dS^T X

Under tensor parallelism Y and dX come out partial, and the caller reduces them.
"""

from collections.abc import Sequence

import torch

from tokenformer.kernels.theta import VARIANTS, Theta


def _compute_dtype(x: torch.Tensor) -> torch.dtype:
    """The dtype of matrix products."""
    return torch.float32 if x.device.type == "cpu" and x.dtype in (torch.bfloat16, torch.float16) else x.dtype


def _statistics_dtype(dtype: torch.dtype) -> torch.dtype:
    return torch.float32 if dtype in (torch.bfloat16, torch.float16) else dtype


class _Pattention(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, keys, values, tau, variant, theta):
        rows = x.reshape(-1, x.shape[-1])  # [rows, d_in]
        dtype = _compute_dtype(x)
        score = (rows.to(dtype) @ keys.to(dtype).T).to(_statistics_dtype(dtype))  # [rows, n]
        kept, scales = VARIANTS[variant].forward(theta, score, tau.to(score))
        weights = VARIANTS[variant].weights(theta, kept, scales).to(dtype)  # [rows, n]
        output = weights @ values.to(dtype)  # [rows, d_out]
        ctx.save_for_backward(x, keys, values, tau, kept, scales)
        ctx.variant, ctx.theta = variant, theta
        return output.to(x.dtype).view(*x.shape[:-1], values.shape[-1])

    @staticmethod
    def backward(ctx, grad_output):
        needed = ctx.needs_input_grad[:4]
        grads = _PattentionBackward.apply(grad_output, *ctx.saved_tensors, ctx.variant, ctx.theta, needed)
        return *grads, None, None


class _PattentionBackward(torch.autograd.Function):
    """The backward pass as a function of its own, so that differentiating it raises and never passes unnoticed."""

    @staticmethod
    def forward(ctx, grad_output, x, keys, values, tau, kept, scales, variant, theta, needed):
        needs_x, needs_keys, needs_values, needs_tau = needed
        dtype = _compute_dtype(x)
        grad_rows = grad_output.reshape(-1, grad_output.shape[-1]).to(dtype)  # [rows, d_out]
        grad_x = grad_keys = grad_values = grad_tau = None
        if needs_values:
            weights = VARIANTS[variant].weights(theta, kept, scales).to(dtype)
            grad_values = (weights.T @ grad_rows).to(values.dtype)
            del weights
        if needs_x or needs_keys or needs_tau:
            grad_weights = (grad_rows @ values.to(dtype).T).to(kept.dtype)  # [rows, n]
            grad_score, grad_tau = VARIANTS[variant].backward_(theta, grad_weights, kept, scales, tau.to(kept))
            grad_score = grad_score.to(dtype)
            if needs_x:
                grad_x = (grad_score @ keys.to(dtype)).to(x.dtype).view_as(x)
            if needs_keys:
                rows = x.reshape(-1, x.shape[-1]).to(dtype)
                grad_keys = (grad_score.T @ rows).to(keys.dtype)
        return grad_x, grad_keys, grad_values, grad_tau.to(tau.dtype) if needs_tau else None

    @staticmethod
    def backward(ctx, *grad_outputs):
        raise RuntimeError("this kernel is once differentiable; choose kernel 'reference' for higher derivatives")


def pattention(
    x: torch.Tensor,
    keys: torch.Tensor,
    values: torch.Tensor,
    *,
    segments: Sequence[int],
    tau: torch.Tensor,
    eps: float,
    variant: str,
    gelu: str,
    group: "torch.distributed.ProcessGroup | None" = None,
) -> torch.Tensor:
    """As `reference.pattention`, once differentiable; x [.., d_in] to [.., d_out].

    With a `group` of several ranks, `keys` and `values` hold this rank's rows of every segment, `segments` are the
    local sizes and `tau` the global scales; the result and the gradient of x are partial sums, that of tau is whole.
    """
    return _Pattention.apply(x, keys, values, tau, variant, Theta(tuple(segments), eps, gelu, group))
