"""Resources of the row kernels on cards that need not be there: compiled ahead of time, held to limits.

    python -m benchmarks.aot_table [--all] [--targets sm_90 gfx942] [--json FILE]

Prints a row for every kernel and card: registers a thread, bytes spilled and of shared memory, instructions, and bytes
of the widest memory access. Ends with status 1 if anything spills, wants more shared memory than the card has, or
reckons the offset of a row in 32 bits. The default is every kernel for every card, in the shapes that would fail first;
--all is every variant, dtype and width.
"""

import argparse
import dataclasses
import itertools
import json
import os
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from benchmarks.aot_compile import ELEMENT_TYPES, TARGETS, Case, Resources, compile_case, faults
from tokenformer.kernels.triton_rows import KERNELS
from tokenformer.kernels.triton_theta import WHOLE_SEGMENT_KERNELS, WIDEST_IN_REGISTERS

FORMS = [*itertools.product(("l2_norm_gelu", "gelu_l2_norm"), ("erf", "tanh")), ("softmax", "erf")]
NARROWER = ((768,), (4096,), (6144, 1536))
WIDTHS = ((64,), (768,), (4096,), (8192,), (8192, 1024), (1000, 77))
# One card of each kind of instructions is compiled for more closely.
CLOSELY_WATCHED = ("sm_90", "sm_100", "gfx942")


def gate_cases(targets: Sequence[str]) -> Iterator[Case]:
    """Every kernel for every card, where registers are fewest, and every form and width for one."""
    for target in targets:
        for name in KERNELS:
            yield Case(target, name, (WIDEST_IN_REGISTERS, 1024))
        if target in CLOSELY_WATCHED:  # what needs most registers
            yield Case(target, "theta_backward", (WIDEST_IN_REGISTERS,), "gelu_l2_norm")
            yield Case(target, "theta_backward", (WIDEST_IN_REGISTERS,), dtype="float32")
    if CLOSELY_WATCHED[0] in targets:
        for name, (variant, gelu) in itertools.product(WHOLE_SEGMENT_KERNELS, FORMS[1:]):
            yield Case(CLOSELY_WATCHED[0], name, (WIDEST_IN_REGISTERS,), variant, gelu)
        for name, segments in itertools.product(WHOLE_SEGMENT_KERNELS, NARROWER):
            yield Case(CLOSELY_WATCHED[0], name, segments)


def all_cases(targets: Sequence[str]) -> Iterator[Case]:
    for target, name, (variant, gelu), dtype in itertools.product(targets, KERNELS, FORMS, ELEMENT_TYPES):
        for segments in WIDTHS:
            yield Case(target, name, segments, variant, gelu, dtype)


def compile_all(cases: Sequence[Case], processes: int) -> list[Resources]:
    with ProcessPoolExecutor(processes) as pool:
        return list(pool.map(compile_case, cases, chunksize=4))


def _print_table(measured: Sequence[tuple[Case, Resources]]) -> None:
    titles = ("registers", "spilled", "shared", "instructions", "an element", "access")
    print(f"{'card':<8}{'kernel':<16}{'theta':<20}{'dtype':<10}{'segments':<16}" + "".join(f"{t:>13}" for t in titles))
    for case, resources in measured:
        form = case.variant if case.variant == "softmax" else f"{case.variant} {case.gelu}"
        numbers = (
            resources.registers,
            resources.spilled,
            resources.shared_memory,
            resources.instructions,
            round(resources.instructions / case.elements_per_thread, 1),
            resources.widest_access,
        )
        segments = "+".join(map(str, case.segments))
        print(
            f"{case.target:<8}{case.name:<16}{form:<20}{case.dtype:<10}{segments:<16}"
            + "".join(f"{number:>13}" for number in numbers)
        )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--all", action="store_true", help="every variant, dtype and width for every card")
    parser.add_argument("--targets", nargs="+", choices=TARGETS, default=TARGETS)
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    parser.add_argument("--json", type=Path, help="also write the table there")
    arguments = parser.parse_args()
    cases = list(dict.fromkeys((all_cases if arguments.all else gate_cases)(arguments.targets)))
    measured = list(zip(cases, compile_all(cases, arguments.processes), strict=True))
    _print_table(measured)
    found = [(case, fault) for case, resources in measured for fault in faults(case, resources)]
    for case, fault in found:
        print(f"FAULT {case}: {fault}")
    print(f"{len(cases)} kernels compiled, {len(found)} faults")
    if arguments.json:
        rows = [dataclasses.asdict(case) | dataclasses.asdict(resources) for case, resources in measured]
        arguments.json.write_text(json.dumps(rows), encoding="utf-8")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
