"""Kernels with one fault each, to see whether the gate finds it; run as a program, since here Triton must compile.

Prints a JSON object: what `faults` says of each offender, and of a kernel without fault.
"""

import json

import triton
import triton.language as tl

from benchmarks.aot_compile import Case, compile_case, faults
from tokenformer.kernels import triton_theta


@triton.jit
def narrow_offset(score, weights, score_stride, weights_stride, columns, BLOCK: tl.constexpr):
    """Reckons in 32 bits."""
    row, offsets = tl.program_id(0), tl.arange(0, BLOCK)
    values = tl.load(score + row * score_stride + offsets, mask=offsets < columns)
    tl.store(weights + row.to(tl.int64) * weights_stride + offsets, values, mask=offsets < columns)


@triton.jit
def widened_too_late(score, weights, score_stride, weights_stride, columns, BLOCK: tl.constexpr):
    """Reckons in 32 bits and makes 64 of them afterwards."""
    row, offsets = tl.program_id(0), tl.arange(0, BLOCK)
    values = tl.load(score + (row * score_stride).to(tl.int64) + offsets, mask=offsets < columns)
    tl.store(weights + row.to(tl.int64) * weights_stride + offsets, values, mask=offsets < columns)


@triton.jit
def piecemeal(score, weights, score_stride, weights_stride, columns, BLOCK: tl.constexpr):
    """Reads every second number, which no wide access can."""
    row, offsets = tl.program_id(0).to(tl.int64), 2 * tl.arange(0, BLOCK)
    values = tl.load(score + row * score_stride + offsets, mask=offsets < columns)
    tl.store(weights + row * weights_stride + offsets, values, mask=offsets < columns)


def main() -> None:
    found = {}
    for kernel in (narrow_offset, widened_too_late, piecemeal):
        name = kernel.fn.__name__
        for target in ("sm_90", "gfx942"):
            case = Case(target, name, (4096,))
            found[f"{name} {target}"] = faults(case, compile_case(case, {name: kernel}))
    case = Case("sm_90", "theta_backward", (4096,))
    found["none"] = faults(case, compile_case(case))
    triton_theta.WARPS = {8192: 1}
    for target, columns in (("sm_90", 4096), ("gfx942", 8192)):
        case = Case(target, "theta_backward", (columns,))
        found[f"one warp {target}"] = faults(case, compile_case(case))
    print(json.dumps(found))


if __name__ == "__main__":
    main()
