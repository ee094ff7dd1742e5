"""theta, the function between the two products of Pattention, in its three variants, forward and backward.

The same names as in the official code. For a score S [rows, n], segment by segment, with tau and eps of the segment:

    l2_norm_gelu   r = tau / sqrt(sum S^2 + tau^2 eps)    Z = r S          A = gelu(Z)
    gelu_l2_norm   B = gelu(S)                            r = tau / sqrt(sum B^2 + tau^2 eps)   A = r B
    softmax        P = softmax(S)                                          A = tau^2 P

and with c = sum_j dA_j A_j (for l2_norm_gelu c = sum_j dZ_j Z_j, dZ = dA gelu'(Z)), one number a row and segment:

    l2_norm_gelu   dS = r (dZ - Z c / tau^2)              dtau = sum_rows c (1 - r^2 eps) / tau
    gelu_l2_norm   dS = r (dA - A c / tau^2) gelu'(S)     dtau = sum_rows c (1 - r^2 eps) / tau
    softmax        dS = A (dA - c / tau^2)                dtau = sum_rows 2 c / tau

The first two use r^2 = tau^2 / (sum + tau^2 eps), so they hold for every eps and never divide by a sum. With a group of
several ranks each holds a share of every segment: sums and c are summed over the group (for softmax the maximum too),
in one all-reduce for all segments.

All work is done in place in the memory of the score, respectively of the gradient that comes in.
"""

import itertools
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.distributed
from torch.nn import functional

from tokenformer.kernels.reference import GELU_APPROXIMATIONS

_gelu_into = torch.ops.aten.gelu.out
_gelu_backward_into = torch.ops.aten.gelu_backward.grad_input


@dataclass(frozen=True)
class Theta:
    """Everything about theta but its tensors.

    Args:
        segments: sizes of the segments on this rank.
        eps: mean-square eps.
        gelu: "erf" or "tanh".
        group: tensor-parallel group or None.
    """

    segments: tuple[int, ...]
    eps: float
    gelu: str
    group: "torch.distributed.ProcessGroup | None" = None

    @property
    def approximate(self) -> str:
        return GELU_APPROXIMATIONS[self.gelu]

    def runs(self, matrix: torch.Tensor) -> list[torch.Tensor]:
        """Views of [rows, n], each [rows, k, size] with k neighbouring segments of one size, for one call of torch."""
        counts = [(size, len(list(run))) for size, run in itertools.groupby(self.segments)]
        parts = matrix.split([size * count for size, count in counts], dim=-1)
        return [part.unflatten(-1, (count, size)) for part, (size, count) in zip(parts, counts, strict=True)]

    def run_factors(self, factors: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """A factor a row and segment, [rows, segments], cut as `runs` cuts: [rows, k, 1] each."""
        counts = [len(list(run)) for _, run in itertools.groupby(self.segments)]
        return factors.unsqueeze(-1).split(counts, dim=1)

    def statistic(
        self,
        reduction: Callable[..., torch.Tensor],
        matrix: torch.Tensor,
    ) -> torch.Tensor:
        """`reduction` of each row and segment on this rank: [rows, n] to [rows, segments]."""
        return torch.cat([reduction(run, dim=-1) for run in self.runs(matrix)], dim=-1)

    def over_ranks(self, statistic: torch.Tensor, operation=torch.distributed.ReduceOp.SUM) -> torch.Tensor:
        if self.group is not None and self.group.size() > 1:
            torch.distributed.all_reduce(statistic, operation, group=self.group)
        return statistic

    def scales(self, matrix: torch.Tensor, tau: torch.Tensor) -> torch.Tensor:
        """r, [rows, segments], of the matrix [rows, n] whose squares are summed."""
        square_sums = self.over_ranks(self.statistic(torch.linalg.vector_norm, matrix).square_())
        return tau * torch.rsqrt(square_sums + tau.square() * self.eps)

    def scale_(self, matrix: torch.Tensor, factors: torch.Tensor) -> torch.Tensor:
        """Multiplies each segment of [rows, n] in place by its column of [rows, segments]."""
        for run, factor in zip(self.runs(matrix), self.run_factors(factors), strict=True):
            run.mul_(factor)
        return matrix

    def subtract_(self, matrix: torch.Tensor, amounts: torch.Tensor) -> torch.Tensor:
        """Subtracts from each segment of [rows, n] in place its column of [rows, segments]."""
        for run, amount in zip(self.runs(matrix), self.run_factors(amounts), strict=True):
            run.sub_(amount)
        return matrix

    def subtract_scaled_(self, matrix: torch.Tensor, other: torch.Tensor, factors: torch.Tensor) -> torch.Tensor:
        """matrix - other * factors in place, with a factor a row and segment."""
        for run, other_run, factor in zip(self.runs(matrix), self.runs(other), self.run_factors(factors), strict=True):
            run.addcmul_(other_run, factor, value=-1)
        return matrix

    def gelu_backward_(self, grad: torch.Tensor, inputs: torch.Tensor) -> torch.Tensor:
        return _gelu_backward_into(grad, inputs, approximate=self.approximate, grad_input=grad)


class L2NormGelu:
    """The default. Keeps Z."""

    @staticmethod
    def forward(theta: Theta, score: torch.Tensor, tau: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Score [rows, n] and tau [segments] to what the backward pass keeps: a matrix [rows, n] and r."""
        scales = theta.scales(score, tau)
        return theta.scale_(score, scales), scales

    @staticmethod
    def weights(theta: Theta, kept: torch.Tensor, scales: torch.Tensor) -> torch.Tensor:
        """A, [rows, n], a new tensor or what was kept."""
        return functional.gelu(kept, approximate=theta.approximate)

    @staticmethod
    def backward_(
        theta: Theta, grad: torch.Tensor, kept: torch.Tensor, scales: torch.Tensor, tau: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """dA, in whose memory the first result is made, to dS and A [rows, n] and dtau [segments]."""
        products = theta.gelu_backward_(grad, kept) * kept
        dots = theta.over_ranks(theta.statistic(torch.sum, products))
        theta.subtract_scaled_(grad, kept, dots / tau.square())
        weights = _gelu_into(kept, approximate=theta.approximate, out=products)
        return theta.scale_(grad, scales), weights, _grad_tau(theta, dots, scales, tau)


class GeluL2Norm:
    """Keeps S."""

    @staticmethod
    def forward(theta: Theta, score: torch.Tensor, tau: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return score, theta.scales(functional.gelu(score, approximate=theta.approximate), tau)

    @staticmethod
    def weights(theta: Theta, kept: torch.Tensor, scales: torch.Tensor) -> torch.Tensor:
        return theta.scale_(functional.gelu(kept, approximate=theta.approximate), scales)

    @staticmethod
    def backward_(
        theta: Theta, grad: torch.Tensor, kept: torch.Tensor, scales: torch.Tensor, tau: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        weights = GeluL2Norm.weights(theta, kept, scales)
        dots = theta.over_ranks(theta.statistic(torch.sum, grad * weights))
        theta.scale_(theta.subtract_scaled_(grad, weights, dots / tau.square()), scales)
        return theta.gelu_backward_(grad, kept), weights, _grad_tau(theta, dots, scales, tau)


class Softmax:
    """Keeps A. The maximum is subtracted, so no score overflows."""

    @staticmethod
    def forward(theta: Theta, score: torch.Tensor, tau: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        largest = theta.over_ranks(theta.statistic(torch.amax, score), torch.distributed.ReduceOp.MAX)
        theta.subtract_(score, largest).exp_()
        scales = tau.square() / theta.over_ranks(theta.statistic(torch.sum, score))
        return theta.scale_(score, scales), scales

    @staticmethod
    def weights(theta: Theta, kept: torch.Tensor, scales: torch.Tensor) -> torch.Tensor:
        return kept

    @staticmethod
    def backward_(
        theta: Theta, grad: torch.Tensor, kept: torch.Tensor, scales: torch.Tensor, tau: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        dots = theta.over_ranks(theta.statistic(torch.sum, grad * kept))
        return theta.subtract_(grad, dots / tau.square()).mul_(kept), kept, 2 * dots.sum(0) / tau


def _grad_tau(theta: Theta, dots: torch.Tensor, scales: torch.Tensor, tau: torch.Tensor) -> torch.Tensor:
    return (dots * (1 - scales.square() * theta.eps)).sum(0) / tau


VARIANTS = {"l2_norm_gelu": L2NormGelu, "gelu_l2_norm": GeluL2Norm, "softmax": Softmax}
