"""theta as row kernels in Triton, between the library's matrix products: the formulas of `theta.py`, row by row.

One program works on one segment of one row and never on another's, so that nothing is added up in an order that could
change: no atomics, the same bits every time. Everything is fp32 inside, whatever the matrices are.

`theta_forward` and `theta_backward` hold a whole segment in registers: a score is read once and a weight written once;
backward reads the score and dA, and writes dS over dA, and A. The other four do the same in two steps, in tiles: what a
row sums to, and what follows from the sum. In between, sums are added over the ranks of a tensor-parallel group; and a
segment too wide for the registers of one program has no other way.

A row has one statistic a segment: r for the two norms, and for softmax log sum exp S.

Offsets are 64-bit from the row on: a score of 65,536 rows of 40,960 has more than 2^31 elements. Masked lanes make any
width right, power of two or not. Arguments that all kernels share:

    bounds                      first column of every segment and the end, [segments + 1]
    columns, segments           of a row; with one segment bounds is not read
    ..._stride                  elements from a row to the next; columns are adjacent
    statistics, dots            [rows, segments], without gaps
    VARIANT, GELU               names as in `theta.py`
    SINGLE                      whether there is one segment
    ALIGNMENT                   a divisor of all bounds, so that loads are as wide as the hardware has them
    BLOCK                       columns a program, or a tile, handles at once; a power of two
"""

from typing import Any

import triton
import triton.language as tl


@triton.jit
def _gelu(z, GELU: tl.constexpr):
    """gelu(z) and gelu'(z), as accurate as fp32 is."""
    if GELU == "erf":
        # Abramowitz and Stegun 7.1.26 for the tail of the normal distribution: one exponential, one reciprocal and
        # five multiply-adds. The exponential is the density that the derivative needs.
        density = tl.exp2(-0.7213475204444817 * z * z)
        t = 1.0 / (1.0 + 0.2316418882 * tl.abs(z))
        series = 0.127414796 + t * (-0.142248368 + t * (0.7107068705 + t * (-0.7265760135 + t * 0.5307027145)))
        tail = t * series * density
        cumulative = tl.where(z < 0, tail, 1.0 - tail)
        return z * cumulative, cumulative + 0.3989422804 * z * density
    else:
        # (1 + tanh u) / 2 = sigmoid(2 u) with u = sqrt(2 / pi) (z + 0.044715 z^3)
        squared = z * z
        sigmoid = 1.0 / (1.0 + tl.exp2(-2.302208198 * z * (1.0 + 0.044715 * squared)))
        slope = 1.595769122 * (1.0 + 0.134145 * squared)
        return z * sigmoid, sigmoid + z * sigmoid * (1.0 - sigmoid) * slope


@triton.jit
def _piece(bounds, columns, segments, SINGLE: tl.constexpr, ALIGNMENT: tl.constexpr):
    """Row (64-bit) and segment of this program; the segment's first column and its size."""
    program = tl.program_id(0)
    row = (program // segments).to(tl.int64)
    if SINGLE:
        return row, 0, 0, columns
    else:
        segment = program % segments
        start = tl.multiple_of(tl.load(bounds + segment), ALIGNMENT)
        end = tl.multiple_of(tl.load(bounds + segment + 1), ALIGNMENT)
        return row, segment, start, end - start


@triton.jit
def _load_score(pointers, inside, VARIANT: tl.constexpr):
    """fp32, and outside of the segment what changes no sum and no maximum."""
    outside = float("-inf") if VARIANT == "softmax" else 0.0
    return tl.load(pointers, mask=inside, other=outside).to(tl.float32)


@triton.jit
def _load_tau(tau, segment):
    return tl.load(tau + segment).to(tl.float32)


@triton.jit
def _finite(largest):
    """The number to subtract before an exponential: the largest score, but never -inf from -inf."""
    return tl.where(largest == float("-inf"), 0.0, largest)


@triton.jit
def _normed(score, VARIANT: tl.constexpr, GELU: tl.constexpr):
    """The scores whose norm is taken: S, or gelu(S)."""
    if VARIANT == "gelu_l2_norm":
        activated, _ = _gelu(score, GELU)
        return activated
    else:
        return score


@triton.jit
def _activated(score, statistic, tau, VARIANT: tl.constexpr, GELU: tl.constexpr):
    """A, gelu' where the GELU stands (1 for softmax), and what c multiplies: Z for l2_norm_gelu, otherwise A."""
    if VARIANT == "softmax":
        weights = tau * tau * tl.exp(score - statistic)
        return weights, 1.0, weights
    elif VARIANT == "gelu_l2_norm":
        activated, slope = _gelu(score, GELU)
        weights = statistic * activated
        return weights, slope, weights
    else:
        normalised = statistic * score
        weights, slope = _gelu(normalised, GELU)
        return weights, slope, normalised


@triton.jit
def _grad_of_factor(grad, slope, VARIANT: tl.constexpr):
    """The gradient of what c multiplies: dZ for l2_norm_gelu, otherwise dA."""
    if VARIANT == "l2_norm_gelu":
        return grad * slope
    else:
        return grad


@triton.jit
def _grad_of_score(grad_factor, factor, slope, statistic, mean, VARIANT: tl.constexpr):
    """dS, with `mean` for c / tau^2."""
    if VARIANT == "softmax":
        return factor * (grad_factor - mean)
    elif VARIANT == "gelu_l2_norm":
        return statistic * (grad_factor - factor * mean) * slope
    else:
        return statistic * (grad_factor - factor * mean)


@triton.jit
def theta_forward(
    score,
    weights,
    statistics,
    tau,
    bounds,
    columns,
    segments,
    score_stride,
    weights_stride,
    eps,
    VARIANT: tl.constexpr,
    GELU: tl.constexpr,
    SINGLE: tl.constexpr,
    ALIGNMENT: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """S to A and the statistic. `weights` may be `score`."""
    row, segment, start, size = _piece(bounds, columns, segments, SINGLE, ALIGNMENT)
    offsets = tl.arange(0, BLOCK)
    inside = offsets < size
    scores = _load_score(score + row * score_stride + start + offsets, inside, VARIANT)
    scale = _load_tau(tau, segment)
    if VARIANT == "softmax":
        largest = _finite(tl.max(scores, axis=0))
        statistic = largest + tl.log(tl.sum(tl.exp(scores - largest), axis=0))
    else:
        normed = _normed(scores, VARIANT, GELU)
        statistic = scale * tl.rsqrt(tl.sum(normed * normed, axis=0) + scale * scale * eps)
    result, _, _ = _activated(scores, statistic, scale, VARIANT, GELU)
    tl.store(weights + row * weights_stride + start + offsets, result, mask=inside)
    tl.store(statistics + tl.program_id(0), statistic)


@triton.jit
def theta_backward(
    score,
    grad,
    weights,
    statistics,
    dots,
    tau,
    bounds,
    columns,
    segments,
    score_stride,
    grad_stride,
    weights_stride,
    VARIANT: tl.constexpr,
    GELU: tl.constexpr,
    WRITE_WEIGHTS: tl.constexpr,
    SINGLE: tl.constexpr,
    ALIGNMENT: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """S and dA, to dS in the place of dA, A (if wanted) and c."""
    row, segment, start, size = _piece(bounds, columns, segments, SINGLE, ALIGNMENT)
    offsets = tl.arange(0, BLOCK)
    inside = offsets < size
    scores = _load_score(score + row * score_stride + start + offsets, inside, VARIANT)
    grad_pointers = grad + row * grad_stride + start + offsets
    grad_weights = tl.load(grad_pointers, mask=inside, other=0.0).to(tl.float32)
    scale = _load_tau(tau, segment)
    statistic = tl.load(statistics + tl.program_id(0))
    result, slope, factor = _activated(scores, statistic, scale, VARIANT, GELU)
    if WRITE_WEIGHTS:  # before the sum, so that no register has to hold A until all threads have met
        tl.store(weights + row * weights_stride + start + offsets, result, mask=inside)
    grad_factor = _grad_of_factor(grad_weights, slope, VARIANT)
    dot = tl.sum(grad_factor * factor, axis=0)
    grad_score = _grad_of_score(grad_factor, factor, slope, statistic, dot / (scale * scale), VARIANT)
    tl.store(grad_pointers, grad_score, mask=inside)
    tl.store(dots + tl.program_id(0), dot)


@triton.jit
def theta_sums(
    score,
    sums,
    bounds,
    columns,
    segments,
    score_stride,
    VARIANT: tl.constexpr,
    GELU: tl.constexpr,
    SINGLE: tl.constexpr,
    ALIGNMENT: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """S to the sum of squares of each row's segment, or log sum exp for softmax, -inf where there is nothing but -inf.

    Every lane has a sum of its own (for softmax with a largest score of its own), and these are added at the end.
    """
    row, _, start, size = _piece(bounds, columns, segments, SINGLE, ALIGNMENT)
    total = tl.zeros([BLOCK], tl.float32)
    largest = tl.full([BLOCK], float("-inf"), tl.float32)
    for first in range(0, size, BLOCK):
        offsets = first + tl.arange(0, BLOCK)
        scores = _load_score(score + row * score_stride + start + offsets, offsets < size, VARIANT)
        if VARIANT == "softmax":
            larger = tl.maximum(largest, scores)
            total = total * tl.exp(largest - _finite(larger)) + tl.exp(scores - _finite(larger))
            largest = larger
        else:
            normed = _normed(scores, VARIANT, GELU)
            total += normed * normed
    if VARIANT == "softmax":
        shift = _finite(tl.max(largest, axis=0))
        result = shift + tl.log(tl.sum(total * tl.exp(largest - shift), axis=0))
    else:
        result = tl.sum(total, axis=0)
    tl.store(sums + tl.program_id(0), result)


@triton.jit
def theta_weights(
    score,
    weights,
    statistics,
    tau,
    bounds,
    columns,
    segments,
    score_stride,
    weights_stride,
    VARIANT: tl.constexpr,
    GELU: tl.constexpr,
    SINGLE: tl.constexpr,
    ALIGNMENT: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """S and the statistic to A. `weights` may be `score`."""
    row, segment, start, size = _piece(bounds, columns, segments, SINGLE, ALIGNMENT)
    scale = _load_tau(tau, segment)
    statistic = tl.load(statistics + tl.program_id(0))
    for first in range(0, size, BLOCK):
        offsets = first + tl.arange(0, BLOCK)
        inside = offsets < size
        scores = _load_score(score + row * score_stride + start + offsets, inside, VARIANT)
        result, _, _ = _activated(scores, statistic, scale, VARIANT, GELU)
        tl.store(weights + row * weights_stride + start + offsets, result, mask=inside)


@triton.jit
def theta_dots(
    score,
    grad,
    statistics,
    dots,
    tau,
    bounds,
    columns,
    segments,
    score_stride,
    grad_stride,
    VARIANT: tl.constexpr,
    GELU: tl.constexpr,
    SINGLE: tl.constexpr,
    ALIGNMENT: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """S and dA to c."""
    row, segment, start, size = _piece(bounds, columns, segments, SINGLE, ALIGNMENT)
    scale = _load_tau(tau, segment)
    statistic = tl.load(statistics + tl.program_id(0))
    total = tl.zeros([BLOCK], tl.float32)
    for first in range(0, size, BLOCK):
        offsets = first + tl.arange(0, BLOCK)
        inside = offsets < size
        scores = _load_score(score + row * score_stride + start + offsets, inside, VARIANT)
        grad_weights = tl.load(grad + row * grad_stride + start + offsets, mask=inside, other=0.0).to(tl.float32)
        _, slope, factor = _activated(scores, statistic, scale, VARIANT, GELU)
        total += _grad_of_factor(grad_weights, slope, VARIANT) * factor
    tl.store(dots + tl.program_id(0), tl.sum(total, axis=0))


@triton.jit
def theta_grads(
    score,
    grad,
    weights,
    statistics,
    dots,
    tau,
    bounds,
    columns,
    segments,
    score_stride,
    grad_stride,
    weights_stride,
    VARIANT: tl.constexpr,
    GELU: tl.constexpr,
    WRITE_WEIGHTS: tl.constexpr,
    SINGLE: tl.constexpr,
    ALIGNMENT: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """S, dA and c, to dS in the place of dA, and A (if wanted)."""
    row, segment, start, size = _piece(bounds, columns, segments, SINGLE, ALIGNMENT)
    scale = _load_tau(tau, segment)
    statistic = tl.load(statistics + tl.program_id(0))
    mean = tl.load(dots + tl.program_id(0)) / (scale * scale)
    for first in range(0, size, BLOCK):
        offsets = first + tl.arange(0, BLOCK)
        inside = offsets < size
        scores = _load_score(score + row * score_stride + start + offsets, inside, VARIANT)
        grad_pointers = grad + row * grad_stride + start + offsets
        grad_weights = tl.load(grad_pointers, mask=inside, other=0.0).to(tl.float32)
        result, slope, factor = _activated(scores, statistic, scale, VARIANT, GELU)
        grad_factor = _grad_of_factor(grad_weights, slope, VARIANT)
        tl.store(grad_pointers, _grad_of_score(grad_factor, factor, slope, statistic, mean, VARIANT), mask=inside)
        if WRITE_WEIGHTS:
            tl.store(weights + row * weights_stride + start + offsets, result, mask=inside)


_LAUNCHED = (theta_forward, theta_backward, theta_sums, theta_weights, theta_dots, theta_grads)
KERNELS: dict[str, Any] = {kernel.__name__: kernel for kernel in _LAUNCHED}
