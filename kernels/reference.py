"""Pattention in plain torch: the specification that every other backend is compared with.

For X [.., d_in], keys K [n, d_in] and values V [n, d_out], with the n parameter tokens cut into segments that are
normalised apart, tau the stored scale of a segment and eps a mean-square eps:

    S = X K^T                                             score, [.., n]
    l2_norm_gelu   A = gelu(r S),   r = tau / sqrt(sum S^2 + tau^2 eps)       sums over the tokens of the segment
    gelu_l2_norm   A = r gelu(S),   r = tau / sqrt(sum gelu(S)^2 + tau^2 eps)
    softmax        A = tau^2 softmax(S)
    Y = A V                                               [.., d_out]

With one segment, eps = 0 and tau = sqrt(n) these are the three variants of the official code of Tokenformer (Wang et
al. 2024, arXiv:2410.23168, equation 16 for the first). eps is a mean-square eps as in RMSNorm, since tau^2 is n at
creation: it stands inside the root, so that a zero row gives a zero output and finite gradients.
"""

from collections.abc import Sequence

import torch
from torch.nn import functional

GELU_APPROXIMATIONS = {"erf": "none", "tanh": "tanh"}


def _l2_normalised(part: torch.Tensor, tau: torch.Tensor, eps: float) -> torch.Tensor:
    return part * (tau * torch.rsqrt(part.square().sum(-1, keepdim=True) + tau.square() * eps))


def _theta(part: torch.Tensor, tau: torch.Tensor, eps: float, variant: str, approximate: str) -> torch.Tensor:
    """theta of one segment, [.., tokens of the segment]."""
    if variant == "softmax":
        return tau.square() * part.softmax(-1)
    if variant == "gelu_l2_norm":
        return _l2_normalised(functional.gelu(part, approximate=approximate), tau, eps)
    return functional.gelu(_l2_normalised(part, tau, eps), approximate=approximate)


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
) -> torch.Tensor:
    """Twice differentiable; every dtype, float64 for oracles.

    Args:
        x: [.., d_in].
        keys: [n, d_in].
        values: [n, d_out].
        segments: sizes of the segments, in the order of the rows; they sum to n.
        tau: scale of each segment, [segments].
        eps: mean-square eps, 0 or more.
        variant: "l2_norm_gelu", "gelu_l2_norm" or "softmax".
        gelu: "erf" or "tanh".

    Returns:
        [.., d_out].
    """
    score = x @ keys.T  # [.., n]
    parts = zip(score.split(list(segments), dim=-1), tau.to(score).unbind(), strict=True)
    weights = [_theta(part, scale, eps, variant, GELU_APPROXIMATIONS[gelu]) for part, scale in parts]
    return torch.cat(weights, dim=-1) @ values


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
) -> tuple[torch.Tensor, ...]:
    """Several Pattentions of one x: what each of them is by itself, in a tuple."""
    members = zip(keys, values, segments, tau, strict=True)
    return tuple(
        pattention(x, *pair, segments=sizes, tau=scales, eps=eps, variant=variant, gelu=gelu)
        for *pair, sizes, scales in members
    )
