"""Forward and backward pass of Pattention by library matrix products with row kernels between them.

With theta as in `theta.py`, S = X K^T and A = theta(S), for a group of Pattentions of one X side by side:

    Y_g = A_g V_g     dA_g = dY_g V_g^T     dV_g = A_g^T dY_g     dS = theta'(dA)     dX = dS K     dK = dS^T X

K holds the keys of the whole group one below the other, S, A, dA and dS have its tokens side by side; so each of S,
theta, dX and dK is one product or one launch for the whole group (query, key and value, say), and only what has to do
with a value block V_g is done apart. A single Pattention is a group of one.

Kept for the backward pass are S in its own dtype and one fp32 number a row and segment, or without S only the latter.
A is never kept. Rows may be done in chunks, which bounds the memory of A and dA, and lets them stay in the cache.
"""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from tokenformer.kernels.triton_theta import RowTheta


def _chunks(rows: int, chunk_rows: int) -> Iterator[slice]:
    """Slices of at most `chunk_rows` rows, or with 0 of all rows."""
    step = chunk_rows or max(rows, 1)
    for first in range(0, rows, step):
        yield slice(first, min(first + step, rows))


def _without_autocast(tensor: Tensor) -> torch.autocast:
    """Leaves dtypes alone: inputs have the wanted one, and autocast around it does not reach the backward pass."""
    return torch.autocast(tensor.device.type, enabled=False)


def forward_pass(
    x: Tensor, keys: Tensor, values: Sequence[Tensor], tau: Tensor, theta: RowTheta, keep_score: bool, chunk_rows: int
) -> tuple[list[Tensor], Tensor, Tensor]:
    """The outputs, and what the backward pass reads.

    Args:
        x: [rows, d_in].
        keys: of the whole group, [n, d_in].
        values: one of each member of the group, [n_g, d_out_g]; the n_g sum to n.
        tau: [segments].
        theta: its segments are those of all members, one after another.
        keep_score: whether S is returned; otherwise it is overwritten.
        chunk_rows: rows at a time; 0 is all.

    Returns:
        [rows, d_out_g] of each member; S, [rows, n] or empty; statistics, fp32 [rows, segments].
    """
    tau, rows, tokens = tau.contiguous(), x.shape[0], [value.shape[0] for value in values]
    outputs = [x.new_empty(rows, value.shape[1]) for value in values]
    statistics = x.new_empty(rows, len(theta.segments), dtype=torch.float32)
    kept = x.new_empty(rows if keep_score else 0, keys.shape[0])
    with _without_autocast(x):
        for chunk in _chunks(rows, chunk_rows):
            score = torch.mm(x[chunk], keys.T, out=kept[chunk] if keep_score else None)
            weights = torch.empty_like(score) if keep_score else score
            statistics[chunk] = theta.forward(score, tau, out=weights)
            for output, part, value in zip(outputs, weights.split(tokens, dim=1), values, strict=True):
                torch.mm(part, value, out=output[chunk])
    return outputs, kept, statistics


def backward_pass(
    grad_outputs: Sequence[Tensor],
    x: Tensor,
    keys: Tensor,
    values: Sequence[Tensor],
    tau: Tensor,
    score: Tensor,
    statistics: Tensor,
    theta: RowTheta,
    needed: tuple[bool, bool, bool, bool],
    chunk_rows: int,
) -> tuple[Tensor, Tensor, list[Tensor], Tensor]:
    """Gradients of x, keys, values and tau; those that `needed` does not want are empty.

    Args:
        grad_outputs: of each member, [rows, d_out_g], of any strides.
        score: as the forward pass returned it; if empty it is made again.
        needed: whether the gradients of x, keys, values and tau are wanted.
    """
    needs_x, needs_keys, needs_values, needs_tau = needed
    needs_score = needs_x or needs_keys or needs_tau
    tau, rows, tokens = tau.contiguous(), x.shape[0], [value.shape[0] for value in values]
    score, statistics = score.contiguous(), statistics.contiguous()  # a compiler may have laid them out anew
    grad_x = torch.empty_like(x, memory_format=torch.contiguous_format) if needs_x else x.new_empty(0)
    grad_keys, grad_values = _Sum(keys, needs_keys), [_Sum(value, needs_values) for value in values]
    dots = statistics.new_zeros(statistics.shape)
    with _without_autocast(x):
        for chunk in _chunks(rows, chunk_rows):
            if score.numel():
                rows_of_score = score[chunk]
                weights = torch.empty_like(rows_of_score) if needs_values else None
            else:
                rows_of_score = torch.mm(x[chunk], keys.T)
                weights = rows_of_score if needs_values else None
            if not needs_score:
                theta.weights(rows_of_score, statistics[chunk], tau, out=weights)
            else:
                grad = torch.empty_like(rows_of_score)
                for grad_output, value, part in zip(grad_outputs, values, grad.split(tokens, dim=1), strict=True):
                    torch.mm(grad_output[chunk], value.T, out=part)
                dots[chunk] = theta.backward_(grad, rows_of_score, statistics[chunk], tau, out=weights)
                if needs_x:
                    torch.mm(grad, keys, out=grad_x[chunk])
                if needs_keys:
                    grad_keys.add(grad.T, x[chunk])
            if needs_values:
                for total, part, grad_output in zip(
                    grad_values, weights.split(tokens, dim=1), grad_outputs, strict=True
                ):
                    total.add(part.T, grad_output[chunk])
        grad_tau = theta.grad_tau(dots, statistics, tau) if needs_tau else tau.new_empty(0)
    return grad_x, grad_keys.result(), [total.result() for total in grad_values], grad_tau


class _Sum:
    """A parameter's gradient: a sum of matrix products, in fp32 if there are several."""

    def __init__(self, parameter: Tensor, needed: bool):
        self.parameter, self.needed, self.total = parameter, needed, None

    def add(self, left: Tensor, right: Tensor) -> None:
        if self.total is None:
            self.total = left @ right
        else:
            self.total = self.total.float().add_(left @ right)

    def result(self) -> Tensor:
        if not self.needed:
            return self.parameter.new_empty(0)
        if self.total is None:
            return torch.zeros_like(self.parameter, memory_format=torch.contiguous_format)
        return self.total.to(self.parameter.dtype)
