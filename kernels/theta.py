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
several ranks each holds a share of every segment: sums and c are summed over the group (for softmax the maximum too).

All work is done in place in the memory of the score, respectively of the gradient that comes in.
"""

from dataclasses import dataclass

import torch
import torch.distributed
from torch.nn import functional

from tokenformer.kernels.reference import GELU_APPROXIMATIONS

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

    def parts(self, matrix: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """The segments of [rows, n], as views."""
        return matrix.split(self.segments, dim=-1)

    def summed(self, statistic: torch.Tensor, operation=torch.distributed.ReduceOp.SUM) -> torch.Tensor:
        if self.group is not None and self.group.size() > 1:
            torch.distributed.all_reduce(statistic, operation, group=self.group)
        return statistic

    def square_sums(self, matrix: torch.Tensor) -> torch.Tensor:
        """Sum of squares of each row and segment: [rows, n] to [rows, segments]."""
        norms = [torch.linalg.vector_norm(part, dim=-1) for part in self.parts(matrix)]
        return self.summed(torch.stack(norms, dim=-1).square_())

    def scales(self, square_sums: torch.Tensor, tau: torch.Tensor) -> torch.Tensor:
        """r, [rows, segments]."""
        return tau * torch.rsqrt(square_sums + tau.square() * self.eps)

    def scale_(self, matrix: torch.Tensor, factors: torch.Tensor) -> torch.Tensor:
        """Multiplies each segment of [rows, n] in place by its column of [rows, segments]."""
        for index, part in enumerate(self.parts(matrix)):
            part.mul_(factors[:, index : index + 1])
        return matrix

    def subtract_scaled_(self, matrix: torch.Tensor, other: torch.Tensor, factors: torch.Tensor) -> torch.Tensor:
        """matrix - other * factors in place, with a factor a row and segment."""
        for index, (part, other_part) in enumerate(zip(self.parts(matrix), self.parts(other), strict=True)):
            part.addcmul_(other_part, factors[:, index : index + 1], value=-1)
        return matrix

    def dots(self, left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
        """c: dot product of each row and segment, two [rows, n] to [rows, segments]."""
        pairs = zip(self.parts(left), self.parts(right), strict=True)
        return self.summed(torch.stack([torch.linalg.vecdot(a, b) for a, b in pairs], dim=-1))

    def gelu_backward_(self, grad: torch.Tensor, inputs: torch.Tensor) -> torch.Tensor:
        return _gelu_backward_into(grad, inputs, approximate=self.approximate, grad_input=grad)


class L2NormGelu:
    """The default. Keeps Z."""

    @staticmethod
    def forward(theta: Theta, score: torch.Tensor, tau: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Score [rows, n] and tau [segments] to what the backward pass keeps: a matrix [rows, n] and r."""
        scales = theta.scales(theta.square_sums(score), tau)
        return theta.scale_(score, scales), scales

    @staticmethod
    def weights(theta: Theta, kept: torch.Tensor, scales: torch.Tensor) -> torch.Tensor:
        """A, [rows, n], a new tensor or what was kept."""
        return functional.gelu(kept, approximate=theta.approximate)

    @staticmethod
    def backward_(
        theta: Theta, grad: torch.Tensor, kept: torch.Tensor, scales: torch.Tensor, tau: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """dA, in whose memory the result is made, to dS [rows, n] and dtau [segments]."""
        theta.gelu_backward_(grad, kept)
        dots = theta.dots(grad, kept)
        theta.subtract_scaled_(grad, kept, dots / tau.square())
        return theta.scale_(grad, scales), _grad_tau(theta, dots, scales, tau)


class GeluL2Norm:
    """Keeps S."""

    @staticmethod
    def forward(theta: Theta, score: torch.Tensor, tau: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        activated = functional.gelu(score, approximate=theta.approximate)
        return score, theta.scales(theta.square_sums(activated), tau)

    @staticmethod
    def weights(theta: Theta, kept: torch.Tensor, scales: torch.Tensor) -> torch.Tensor:
        return theta.scale_(functional.gelu(kept, approximate=theta.approximate), scales)

    @staticmethod
    def backward_(
        theta: Theta, grad: torch.Tensor, kept: torch.Tensor, scales: torch.Tensor, tau: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        weights = GeluL2Norm.weights(theta, kept, scales)
        dots = theta.dots(grad, weights)
        theta.scale_(theta.subtract_scaled_(grad, weights, dots / tau.square()), scales)
        return theta.gelu_backward_(grad, kept), _grad_tau(theta, dots, scales, tau)


class Softmax:
    """Keeps A. The maximum is subtracted, so no score overflows."""

    @staticmethod
    def forward(theta: Theta, score: torch.Tensor, tau: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        largest = torch.stack([part.amax(-1) for part in theta.parts(score)], dim=-1)  # [rows, segments]
        theta.summed(largest, torch.distributed.ReduceOp.MAX)
        for index, part in enumerate(theta.parts(score)):
            part.sub_(largest[:, index : index + 1]).exp_()
        sums = theta.summed(torch.stack([part.sum(-1) for part in theta.parts(score)], dim=-1))
        scales = tau.square() / sums
        return theta.scale_(score, scales), scales

    @staticmethod
    def weights(theta: Theta, kept: torch.Tensor, scales: torch.Tensor) -> torch.Tensor:
        return kept

    @staticmethod
    def backward_(
        theta: Theta, grad: torch.Tensor, kept: torch.Tensor, scales: torch.Tensor, tau: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        dots = theta.dots(grad, kept)
        for index, part in enumerate(theta.parts(grad)):
            part.sub_((dots / tau.square())[:, index : index + 1])
        return grad.mul_(kept), 2 * dots.sum(0) / tau


def _grad_tau(theta: Theta, dots: torch.Tensor, scales: torch.Tensor, tau: torch.Tensor) -> torch.Tensor:
    return (dots * (1 - scales.square() * theta.eps)).sum(0) / tau


VARIANTS = {"l2_norm_gelu": L2NormGelu, "gelu_l2_norm": GeluL2Norm, "softmax": Softmax}
