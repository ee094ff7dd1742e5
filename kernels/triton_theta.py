"""theta of whole matrices by the row kernels: which of them run, how they are launched, and what ranks tell each other.

Rows are one launch, whatever the segments: those of a grown layer, and those of query, key and value side by side.
"""

import contextlib
import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.distributed
from torch import Tensor

# A program holds at most so many columns in registers; wider segments take two steps. Twice as many would fit, and
# spill on some cards.
WIDEST_IN_REGISTERS = 8192
WHOLE_SEGMENT_KERNELS = ("theta_forward", "theta_backward")
NARROWEST_BLOCK, TILE = 64, 4096
# Warps of a program by the widest block they serve. Narrow blocks have threads that read 16 bytes of 16-bit numbers at
# once; wider ones read 32, which leaves the backward pass half of the registers of a streaming multiprocessor free.
WARPS = {256: 1, 512: 2, 2048: 4, 8192: 8}


def block_of(kernel: str, segments: Sequence[int]) -> int:
    """Columns that a program of a kernel handles at once: a whole segment, or a tile of it."""
    widest = 1 << (max(segments) - 1).bit_length()
    return max(NARROWEST_BLOCK, widest if kernel in WHOLE_SEGMENT_KERNELS else min(widest, TILE))


def warps_of(block: int) -> int:
    return next(warps for widest, warps in WARPS.items() if block <= widest)


@functools.lru_cache(maxsize=4096)
def _bounds(segments: tuple[int, ...], device: torch.device) -> Tensor:
    """First column of each segment, and the end, [segments + 1]."""
    starts = [sum(segments[:index]) for index in range(len(segments) + 1)]
    return torch.tensor(starts, dtype=torch.int32, device=device)


def alignment_of(segments: Sequence[int]) -> int:
    """The largest power of two, up to 16, that divides every bound."""
    return math.gcd(16, *segments)


def _on_device_of(tensor: Tensor) -> contextlib.AbstractContextManager:
    """Triton launches on the current device, which need not be the tensor's."""
    return torch.cuda.device(tensor.device) if tensor.is_cuda else contextlib.nullcontext()


@dataclass(frozen=True)
class RowTheta:
    """theta with its settings; matrices are [rows, n], with adjacent columns and any stride between rows.

    Args:
        segments: sizes of the segments on this rank.
        eps: mean-square eps.
        variant, gelu: as everywhere.
        group: tensor-parallel group over which every segment is sharded, or None.
    """

    segments: tuple[int, ...]
    eps: float
    variant: str
    gelu: str
    group: "torch.distributed.ProcessGroup | None" = None

    @property
    def in_one_step(self) -> bool:
        """Tells whether a program finds the statistic of its segment alone and still holds the segment then."""
        return self.group is None and max(self.segments) <= WIDEST_IN_REGISTERS

    def forward(self, score: Tensor, tau: Tensor, out: Tensor) -> Tensor:
        """S to A, written to `out`, which may be the score; returns the statistics, fp32 [rows, segments]."""
        if not self.in_one_step:
            statistics = self._statistics(self._sums(score), tau)
            self.weights(score, statistics, tau, out)
            return statistics
        statistics = score.new_empty(score.shape[0], len(self.segments), dtype=torch.float32)
        strides = {"score_stride": score.stride(0), "weights_stride": out.stride(0)}
        tensors = {"score": score, "weights": out, "statistics": statistics, "tau": tau}
        self._launch("theta_forward", tensors, strides, eps=self.eps)
        return statistics

    def weights(self, score: Tensor, statistics: Tensor, tau: Tensor, out: Tensor) -> None:
        """S and the statistics to A, written to `out`, which may be the score."""
        strides = {"score_stride": score.stride(0), "weights_stride": out.stride(0)}
        tensors = {"score": score, "weights": out, "statistics": statistics, "tau": tau}
        self._launch("theta_weights", tensors, strides)

    def backward_(self, grad: Tensor, score: Tensor, statistics: Tensor, tau: Tensor, out: Tensor | None) -> Tensor:
        """dA to dS, in its place, and A, written to `out` if there is one; returns c, fp32 [rows, segments]."""
        dots = torch.empty_like(statistics)
        tensors = {"score": score, "grad": grad, "statistics": statistics, "dots": dots, "tau": tau}
        strides = {"score_stride": score.stride(0), "grad_stride": grad.stride(0)}
        if not self.in_one_step:
            self._launch("theta_dots", tensors, strides)
            self._summed(dots)
        tensors["weights"] = score if out is None else out  # where nothing is written, any pointer does
        strides["weights_stride"] = tensors["weights"].stride(0)
        kernel = "theta_backward" if self.in_one_step else "theta_grads"
        self._launch(kernel, tensors, strides, WRITE_WEIGHTS=out is not None)
        return dots

    def grad_tau(self, dots: Tensor, statistics: Tensor, tau: Tensor) -> Tensor:
        """Sum over the rows of what c says about tau, [segments], in the dtype of tau."""
        share = 2.0 if self.variant == "softmax" else 1 - statistics.square() * self.eps
        return ((dots * share).sum(0) / tau).to(tau.dtype)

    def _sums(self, score: Tensor) -> Tensor:
        sums = score.new_empty(score.shape[0], len(self.segments), dtype=torch.float32)
        self._launch("theta_sums", {"score": score, "sums": sums}, {"score_stride": score.stride(0)})
        return sums

    def _statistics(self, sums: Tensor, tau: Tensor) -> Tensor:
        """This rank's sums to the statistics of the whole rows."""
        if self.variant != "softmax":
            tau = tau.float()
            return tau * torch.rsqrt(self._summed(sums) + tau.square() * self.eps)
        if self.group is None:
            return sums
        largest = self._summed(sums.clone(), torch.distributed.ReduceOp.MAX)
        shift = torch.where(largest == -math.inf, 0.0, largest)
        return shift + self._summed(torch.exp(sums - shift)).log()

    def _summed(self, statistic: Tensor, operation=torch.distributed.ReduceOp.SUM) -> Tensor:
        if self.group is not None:
            torch.distributed.all_reduce(statistic, operation, group=self.group)
        return statistic

    def _launch(self, name: str, tensors: dict[str, Tensor], strides: dict[str, int], **options) -> None:
        from tokenformer.kernels.triton_rows import KERNELS

        score, count = tensors["score"], len(self.segments)
        programs = score.shape[0] * count
        if programs == 0:
            return
        block = block_of(name, self.segments)
        with _on_device_of(score):
            KERNELS[name][(programs,)](
                **tensors,
                **strides,
                **options,
                bounds=_bounds(self.segments, score.device),
                columns=score.shape[1],
                segments=count,
                VARIANT=self.variant,
                GELU=self.gelu,
                SINGLE=count == 1,
                ALIGNMENT=alignment_of(self.segments),
                BLOCK=block,
                num_warps=warps_of(block),
                enable_fp_fusion=True,
            )
