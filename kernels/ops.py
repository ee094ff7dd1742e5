"""Pattention by row kernels as two operators of torch, so that its compiler and selective checkpointing see them whole.

`torch.ops.tokenformer.pattention` and `torch.ops.tokenformer.pattention_backward` do what `triton_passes` says. An
operator has tensors, numbers and strings for arguments: a process group goes by name, and a group's `segments` and
`tau` are those of all members, one after another. `torch.func` transforms raise.
"""

from collections.abc import Sequence

import torch
import torch.distributed
from torch import Tensor

from tokenformer.kernels import triton_passes
from tokenformer.kernels.triton_theta import RowTheta


def _theta(segments: Sequence[int], eps: float, variant: str, gelu: str, group_name: str) -> RowTheta:
    group = torch.distributed.distributed_c10d._resolve_process_group(group_name) if group_name else None
    return RowTheta(tuple(segments), eps, variant, gelu, group)


@torch.library.custom_op("tokenformer::pattention", mutates_args=())
def pattention(
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
    chunk_rows: int,
) -> tuple[list[Tensor], Tensor, Tensor]:
    """As `triton_passes.forward_pass`, with theta in pieces; all matrices of one dtype, fp32 or 16-bit."""
    theta = _theta(segments, eps, variant, gelu, group_name)
    return triton_passes.forward_pass(x, keys, values, tau, theta, keep_score, chunk_rows)


@pattention.register_fake
def _(x, keys, values, tau, segments, eps, variant, gelu, group_name, keep_score, chunk_rows):
    rows = x.shape[0]
    outputs = [x.new_empty(rows, value.shape[1]) for value in values]
    score = x.new_empty(rows if keep_score else 0, keys.shape[0])
    return outputs, score, x.new_empty(rows, len(segments), dtype=torch.float32)


@torch.library.custom_op("tokenformer::pattention_backward", mutates_args=())
def pattention_backward(
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
    chunk_rows: int,
    needed: Sequence[bool],
) -> tuple[Tensor, Tensor, list[Tensor], Tensor]:
    """As `triton_passes.backward_pass`, with theta in pieces."""
    theta = _theta(segments, eps, variant, gelu, group_name)
    return triton_passes.backward_pass(
        grad_outputs, x, keys, values, tau, score, statistics, theta, tuple(needed), chunk_rows
    )


@pattention_backward.register_fake
def _(
    grad_outputs,
    x,
    keys,
    values,
    tau,
    score,
    statistics,
    segments,
    eps,
    variant,
    gelu,
    group_name,
    chunk_rows,
    needed,
):
    def grad(tensor, is_needed):
        return tensor.new_empty(tensor.shape if is_needed else 0)

    needs_x, needs_keys, needs_values, needs_tau = needed
    grad_values = [grad(value, needs_values) for value in values]
    return grad(x, needs_x), grad(keys, needs_keys), grad_values, grad(tau, needs_tau)


def _keep(ctx, inputs, output) -> None:
    x, keys, values, tau, *settings = inputs
    outputs, score, statistics = output
    ctx.save_for_backward(x, keys, tau, score, statistics, *values)
    *ctx.settings, _, ctx.chunk_rows = settings  # without keep_score
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
    grad_x, grad_keys, grad_values, grad_tau = pattention_backward(
        grad_outputs, x, keys, values, tau, score, statistics, *ctx.settings, ctx.chunk_rows, needed
    )
    grads = (
        grad_x if needs_x else None,
        grad_keys if needs_keys else None,
        [grad if is_needed else None for grad, is_needed in zip(grad_values, needs_values, strict=True)],
        grad_tau if needs_tau else None,
    )
    return *grads, *[None] * 7


def _refuse(ctx, *grads):
    raise RuntimeError("this kernel is once differentiable; choose kernel 'reference' for higher derivatives")


pattention.register_autograd(_differentiate, setup_context=_keep)
pattention_backward.register_autograd(_refuse)
