"""Compiles a row kernel for a card that need not be there, and reads off what it would use.

Triton's wheel brings NVIDIA's assembler, and for AMD its compiler goes all the way. What is read off: registers,
spills, shared memory, instructions, the widest memory access, and whether the offset of a row is computed in 64 bits.
Must run where TRITON_INTERPRET is not set: an interpreted kernel cannot be compiled.
"""

import re
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from tokenformer.kernels.triton_rows import KERNELS
from tokenformer.kernels.triton_theta import alignment_of, block_of, warps_of

NVIDIA_TOOLS = Path(triton.__file__).parent / "backends" / "nvidia" / "bin"
# Bytes of shared memory that a program may have.
SHARED_MEMORY = {
    "sm_80": 166912,
    "sm_86": 101376,
    "sm_90": 232448,
    "sm_100": 232448,
    "sm_120": 101376,
    "gfx90a": 65536,
    "gfx942": 65536,
}
TARGETS = tuple(SHARED_MEMORY)
ELEMENT_TYPES = {"float32": "fp32", "bfloat16": "bf16", "float16": "fp16"}
ELEMENT_BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}
MATRICES = ("score", "grad", "weights")


@dataclass(frozen=True)
class Case:
    """One kernel for one card.

    Args:
        target: one of TARGETS.
        segments: sizes of the segments; one segment is a different program.
        name: which kernel.
    """

    target: str
    name: str
    segments: tuple[int, ...]
    variant: str = "l2_norm_gelu"
    gelu: str = "erf"
    dtype: str = "bfloat16"

    @property
    def elements_per_thread(self) -> int:
        return max(1, block_of(self.name, self.segments) // (self.warp_size * self.warps))

    @property
    def warps(self) -> int:
        return warps_of(block_of(self.name, self.segments))

    @property
    def warp_size(self) -> int:
        return 64 if self.target.startswith("gfx") else 32


@dataclass(frozen=True)
class Resources:
    """The resources of a compiled kernel; sizes in bytes, registers a thread."""

    registers: int
    spilled: int
    shared_memory: int
    instructions: int
    widest_access: int
    narrow_offsets: tuple[str, ...]


def compile_case(case: Case, kernels: Mapping[str, object] = KERNELS) -> Resources:
    """Compiles a case and measures it; `kernels` holds the kernel that the case names."""
    kernel = kernels[case.name]
    compiled = triton.compile(
        _source(case, kernel),
        target=_gpu_target(case),
        options={"num_warps": case.warps, "enable_fp_fusion": True},
    )
    narrow = narrow_offsets(compiled.asm["ttir"])
    measure = _amd_resources if case.target.startswith("gfx") else _nvidia_resources
    return measure(compiled, narrow)


def faults(case: Case, resources: Resources) -> list[str]:
    """Everything that must not be, in words."""
    found = []
    if resources.spilled:
        found.append(f"{resources.spilled} bytes of registers spilled to local memory")
    if resources.shared_memory > SHARED_MEMORY[case.target]:
        found.append(f"{resources.shared_memory} bytes of shared memory; the card has {SHARED_MEMORY[case.target]}")
    aligned = alignment_of(case.segments) == 16
    wanted = min(16, case.elements_per_thread * ELEMENT_BYTES[case.dtype])
    if aligned and resources.widest_access < wanted:
        found.append(f"memory is read {resources.widest_access} bytes at a time; {wanted} are possible")
    return found + [f"an offset that is not 64-bit: {line}" for line in resources.narrow_offsets]


def narrow_offsets(ttir: str) -> tuple[str, ...]:
    """Lines of Triton's intermediate code that reckon a row's offset in 32 bits.

    The first thing added to the pointer of a matrix is the row's offset. It must be 64-bit, and no product may be
    32-bit, since a row times a stride that is widened afterwards has overflown already.
    """
    lines = [line.strip() for line in ttir.splitlines()]
    added = re.compile(
        rf"tt\.addptr %(?:{'|'.join(MATRICES)}), .*, (?!i64)\S+ loc|tt\.splat %(?:{'|'.join(MATRICES)}) "
    )
    product = re.compile(r"arith\.muli .*: (?:tensor<[^>]*x)?i32\b")
    return tuple(line for line in lines if added.search(line) or product.search(line))


def _gpu_target(case: Case) -> GPUTarget:
    if case.target.startswith("gfx"):
        return GPUTarget("hip", case.target, case.warp_size)
    return GPUTarget("cuda", int(case.target.removeprefix("sm_")), case.warp_size)


def _source(case: Case, kernel) -> ASTSource:
    """The kernel with the argument types and divisibilities that a launch from `triton_theta` has."""
    constants = {
        "VARIANT": case.variant,
        "GELU": case.gelu,
        "WRITE_WEIGHTS": True,
        "SINGLE": len(case.segments) == 1,
        "ALIGNMENT": alignment_of(case.segments),
        "BLOCK": block_of(case.name, case.segments),
    }
    constants = {name: value for name, value in constants.items() if name in kernel.arg_names}
    pointers = dict.fromkeys(MATRICES, f"*{ELEMENT_TYPES[case.dtype]}") | {"bounds": "*i32"}
    pointers |= dict.fromkeys(("statistics", "sums", "dots", "tau"), "*fp32")
    types = dict.fromkeys(kernel.arg_names, "i32") | {"eps": "fp32"} | pointers | dict.fromkeys(constants, "constexpr")
    # What a launch finds divisible by 16, it tells the compiler.
    divisible = set(kernel.arg_names) - set(constants) - {"eps", "segments"}
    if sum(case.segments) % 16:
        divisible -= {"columns", "score_stride", "grad_stride", "weights_stride"}
    attributes = {
        (index,): [["tt.divisibility", 16]] for index, name in enumerate(kernel.arg_names) if name in divisible
    }
    signature = {name: types[name] for name in kernel.arg_names}
    return ASTSource(fn=kernel, signature=signature, constexprs=constants, attrs=attributes)


def _nvidia_resources(compiled, narrow: tuple[str, ...]) -> Resources:
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(compiled.asm["cubin"])
        file.flush()
        usage = _output_of("cuobjdump", "--dump-resource-usage", file.name)
        assembly = _output_of("nvdisasm", "-c", file.name)
    registers, stack, local = (int(re.search(rf"{key}:(\d+)", usage)[1]) for key in ("REG", "STACK", "LOCAL"))
    accesses = re.findall(r"(?:ld|st)\.global\S*?(?:\.v(\d))?\.b(\d+)", compiled.asm["ptx"])
    return Resources(
        registers,
        stack + local,
        compiled.metadata.shared,
        len(re.findall(r"^\s+/\*[0-9a-f]{4,}\*/", assembly, re.MULTILINE)),
        max(int(width or 1) * int(bits) // 8 for width, bits in accesses),
        narrow,
    )


def _output_of(tool: str, *arguments: str) -> str:
    return subprocess.run([NVIDIA_TOOLS / tool, *arguments], capture_output=True, text=True, check=True).stdout


def _amd_resources(compiled, narrow: tuple[str, ...]) -> Resources:
    assembly = compiled.asm["amdgcn"]

    def count(key: str) -> int:
        return int(re.search(rf"\.{key}:\s+(\d+)", assembly)[1])

    accesses = re.findall(r"\b(?:global|buffer|flat)_(?:load|store)_(\w+)", assembly)
    widths = {"dwordx4": 16, "dwordx3": 12, "dwordx2": 8, "dword": 4}
    spilled = 4 * (count("vgpr_spill_count") + count("sgpr_spill_count")) + count("private_segment_fixed_size")
    return Resources(
        count("vgpr_count"),
        spilled,
        compiled.metadata.shared,
        len(re.findall(r"^\t[vs]_\w+|^\t(?:global|buffer|flat|ds)_\w+", assembly, re.MULTILINE)),
        max(widths.get(access, 2) for access in accesses),
        narrow,
    )
