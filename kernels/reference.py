"""Pattention in plain torch: the specification that every other backend is compared with.

For X [.., d_in], keys K [n, d_in] and values V [n, d_out], with the n parameter tokens cut into segments g that are
normalised apart, tau_g the stored scale of a segment and n_g its size:

    S = X K^T                                              score, [.., n]
    r_g = tau_g / sqrt(sum_{j in g} S_j^2 + tau_g^2 eps)   one number a row and segment
    Y = gelu(r S) V                                        [.., d_out]

With one segment, eps = 0 and tau = sqrt(n) this is the `l2_norm_gelu` of Tokenformer (Wang et al. 2024,
arXiv:2410.23168, equation 16). eps is a mean-square eps as in RMSNorm, since tau^2 is n at creation: it stands inside
the root, so that a zero row gives a zero output and finite gradients.
"""

from collections.abc import Sequence

import torch
from torch.nn import functional

GELU_APPROXIMATIONS = {"erf": "none", "tanh": "tanh"}


def pattention(
    x: torch.Tensor,
    keys: torch.Tensor,
    values: torch.Tensor,
    *,
    segments: Sequence[int],
    tau: Sequence[float],
    eps: float,
    gelu: str,
) -> torch.Tensor:
    """Twice differentiable; every dtype, float64 for oracles.

    Args:
        x: [.., d_in].
        keys: [n, d_in].
        values: [n, d_out].
        segments: sizes of the segments, in the order of the rows; they sum to n.
        tau: scale of each segment.
        eps: mean-square eps, 0 or more.
        gelu: "erf" or "tanh".

    Returns:
        [.., d_out].
    """
    score = x @ keys.T  # [.., n]
    normalised = []
    for part, scale in zip(score.split(list(segments), dim=-1), tau, strict=True):
        square_sum = part.square().sum(-1, keepdim=True)  # [.., 1]
        normalised.append(part * (scale * torch.rsqrt(square_sum + scale**2 * eps)))
    weights = functional.gelu(torch.cat(normalised, dim=-1), approximate=GELU_APPROXIMATIONS[gelu])  # [.., n]
    return weights @ values
