"""Pattention as one autograd function made of ATen calls, in place where nothing else can see it.

The path on a CPU, and wherever there is no Triton. Statistics and GELU are fp32. A group of Pattentions that read the
same x (query, key and value) is one function: with the keys K of all of them below each other there is one score
S = X K^T, one theta and one sum of statistics over the ranks. With A = theta(S) and A_g, V_g the tokens of a member,

    Y_g = A_g V_g
    dA_g = dY_g V_g^T     dV_g = A_g^T dY_g     dS = theta'(dA)     dX = dS K     dK = dS^T X

Under tensor parallelism Y and dX come out partial, and the caller reduces them.
"""

import functools
from collections.abc import Sequence

import torch

from tokenformer.kernels.theta import VARIANTS, Theta


@functools.cache
def has_bf16_products() -> bool:
    """Tells whether this CPU has units for products of bf16 matrices; without them bf16 is 20 times slower."""
    capabilities = torch.cpu.get_capabilities()
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))


def _product_dtype(x: torch.Tensor) -> torch.dtype:
    """The dtype of matrix products. On a CPU that is fp32 for 16-bit inputs, but where bf16 has units of its own."""
    if x.device.type != "cpu" or x.dtype not in (torch.bfloat16, torch.float16):
        return x.dtype
    return torch.bfloat16 if x.dtype == torch.bfloat16 and has_bf16_products() else torch.float32


def _statistics_dtype(dtype: torch.dtype) -> torch.dtype:
    return torch.float32 if dtype in (torch.bfloat16, torch.float16) else dtype


def _stacked(keys: Sequence[torch.Tensor], dtype: torch.dtype) -> torch.Tensor:
    """The keys of all members below each other, [n, d_in]."""
    return keys[0].to(dtype) if len(keys) == 1 else torch.cat([block.to(dtype) for block in keys])


def _flat(tensor: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """[.., d] to [rows, d]."""
    return tensor.reshape(-1, tensor.shape[-1]).to(dtype)


def _score_gradient(grads: list[torch.Tensor], values: list[torch.Tensor]) -> torch.Tensor:
    """dA of all members side by side, [rows, n]."""
    if len(grads) == 1:
        return grads[0] @ values[0].T
    sizes = [block.shape[0] for block in values]
    result = grads[0].new_empty(grads[0].shape[0], sum(sizes))
    for part, grad, block in zip(result.split(sizes, dim=-1), grads, values, strict=True):
        torch.mm(grad, block.T, out=part)
    return result


class _Pattention(torch.autograd.Function):
    @staticmethod
    def forward(ctx, variant, theta, x, tau, *keys_and_values):
        keys, values = keys_and_values[::2], keys_and_values[1::2]
        dtype = _product_dtype(x)
        score = (_flat(x, dtype) @ _stacked(keys, dtype).T).to(_statistics_dtype(dtype))  # [rows, n]
        kept, scales = VARIANTS[variant].forward(theta, score, tau.to(score))
        weights = VARIANTS[variant].weights(theta, kept, scales).to(dtype)  # [rows, n]
        parts = weights.split([block.shape[0] for block in keys], dim=-1)
        outputs = [part @ block.to(dtype) for part, block in zip(parts, values, strict=True)]  # [rows, d_out]
        ctx.save_for_backward(x, tau, kept, scales, *keys_and_values)
        ctx.variant, ctx.theta = variant, theta
        return tuple(output.to(x.dtype) for output in outputs)

    @staticmethod
    def backward(ctx, *grad_outputs):
        needed = ctx.needs_input_grad[2:]
        members = len(grad_outputs)
        grads = _PattentionBackward.apply(ctx.variant, ctx.theta, needed, members, *grad_outputs, *ctx.saved_tensors)
        return None, None, *grads


class _PattentionBackward(torch.autograd.Function):
    """The backward pass as a function of its own, so that differentiating it raises and never passes unnoticed."""

    @staticmethod
    def forward(ctx, variant, theta, needed, members, *tensors):
        grad_outputs, (x, tau, kept, scales, *keys_and_values) = tensors[:members], tensors[members:]
        keys, values = keys_and_values[::2], keys_and_values[1::2]
        needs_x, needs_tau, *needs_keys_and_values = needed
        sizes = [block.shape[0] for block in keys]
        dtype = _product_dtype(x)
        grads = [_flat(grad, dtype) for grad in grad_outputs]  # [rows, d_out]
        grad_weights = _score_gradient(grads, [block.to(dtype) for block in values])  # [rows, n]
        grad_score, weights, grad_tau = VARIANTS[variant].backward_(
            theta, grad_weights.to(kept.dtype), kept, scales, tau.to(kept)
        )
        grad_score = grad_score.to(dtype)
        grad_x = grad_keys = None
        if needs_x:
            grad_x = (grad_score @ _stacked(keys, dtype)).to(x.dtype).view_as(x)
        grad_keys_and_values = [None] * len(keys_and_values)
        if any(needs_keys_and_values[::2]):
            grad_keys = (grad_score.T @ _flat(x, dtype)).split(sizes)
            grad_keys_and_values[::2] = [grad.to(block.dtype) for grad, block in zip(grad_keys, keys, strict=True)]
        del grad_score
        if any(needs_keys_and_values[1::2]):
            parts = weights.to(dtype).split(sizes, dim=-1)
            grad_keys_and_values[1::2] = [
                (part.T @ grad).to(block.dtype) for part, grad, block in zip(parts, grads, values, strict=True)
            ]
        return grad_x, grad_tau.to(tau.dtype) if needs_tau else None, *grad_keys_and_values

    @staticmethod
    def backward(ctx, *grad_outputs):
        raise RuntimeError("this kernel is once differentiable; choose kernel 'reference' for higher derivatives")


def grouped_pattention(
    x: torch.Tensor,
    keys: Sequence[torch.Tensor],
    values: Sequence[torch.Tensor],
    *,
    segments: Sequence[Sequence[int]],
    tau: Sequence[torch.Tensor],
    eps: float,
    variant: str,
    gelu: str,
    group: "torch.distributed.ProcessGroup | None" = None,
) -> tuple[torch.Tensor, ...]:
    """As `reference.grouped_pattention`, once differentiable; x [.., d_in] to [.., d_out] of each member.

    With a `group` of several ranks, `keys` and `values` hold this rank's rows of every segment, `segments` are the
    local sizes and `tau` the global scales; the results and the gradient of x are partial sums, that of tau is whole.
    Statistics of all members are summed over the ranks together: once forward (for softmax twice), once backward.
    """
    theta = Theta(tuple(size for sizes in segments for size in sizes), eps, gelu, group)
    whole_tau = tau[0] if len(tau) == 1 else torch.cat(list(tau))
    pairs = [tensor for pair in zip(keys, values, strict=True) for tensor in pair]
    outputs = _Pattention.apply(variant, theta, x, whole_tau, *pairs)
    # A view made outside of the function may be changed in place, one made inside may not.
    return tuple(output.view(*x.shape[:-1], output.shape[-1]) for output in outputs)
