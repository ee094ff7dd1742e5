"""Time and memory of one Pattention layer: ours, other implementations, and a SwiGLU MLP of equal FLOPs.

    python -m benchmarks.pattention [--device cpu] [--shapes "150M ffn" ...] [--dtype bfloat16] [--output FOLDER]

What everything is compared with is the six bare matrix products of forward and backward: no implementation can be
faster. On a CPU rows are fewer than on a GPU, down to where the widest layers have hardly more rows than features and
what is measured is the memory for their gradients: look at those on a GPU. Writes pattention.csv, pattention.png
and machine.json into a folder with the device's name.
"""

import argparse
import csv
import importlib.util
import json
import statistics
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor

from benchmarks.measuring.compared_layers import LIMIT, absence_of_a_compiler, build, implementations
from benchmarks.measuring.machine import device_name, machine, results_folder
from benchmarks.measuring.ratio_plot import draw_ratios
from benchmarks.measuring.shapes import SHAPES, Shape
from benchmarks.measuring.stopwatch import (
    PASSES,
    Memory,
    Subject,
    cpu_memory,
    cpu_milliseconds,
    gpu_memory,
    gpu_milliseconds,
    quantiles,
)
from benchmarks.roofline import CARDS, IMPLEMENTATIONS, predicted_ratio

CPU_PRODUCT_FLOPS = 2.5e9  # of one matrix product, at most
FEWEST_CPU_ROWS = 128
COLUMNS = ("shape", "rows", "d", "n", "dtype", "implementation", "pass", "milliseconds", "fifth_lower", "fifth_higher")
COLUMNS += ("ratio", "kept_mebibytes", "peak_mebibytes")


def rows_for_a_cpu(shape: Shape) -> int:
    """The largest power of two that keeps a matrix product short."""
    affordable = int(CPU_PRODUCT_FLOPS / shape.with_rows(1).product_flops)
    return min(shape.rows, max(FEWEST_CPU_ROWS, 1 << affordable.bit_length() - 1))


def subjects_for(
    functions: dict[str, Callable[..., Tensor]], shape: Shape, dtype: torch.dtype, device: str
) -> dict[str, Subject]:
    """Every implementation with inputs of a shape, all of which want a gradient."""
    generator = torch.Generator(device).manual_seed(1)
    x, incoming = (torch.randn(shape.rows, shape.width, generator=generator, device=device).to(dtype) for _ in range(2))
    x.requires_grad_()
    subjects = {}
    for name, function in functions.items():
        layer = build(function, name, shape, dtype, device)
        subjects[name] = Subject(layer.function, [x, *layer.parameters], incoming)
    return subjects


def measure_shape(
    functions: dict[str, Callable[..., Tensor]], shape: Shape, dtype: torch.dtype, device: str, seconds: float
) -> list[dict]:
    """A row of the CSV for every implementation and pass; ratios are medians over rounds of ratios to the limit."""
    subjects = subjects_for(functions, shape, dtype, device)
    times = gpu_milliseconds(subjects) if device == "cuda" else cpu_milliseconds(subjects, seconds)
    rows = []
    for name, subject in subjects.items():
        memory = _memory(name, subject, device)
        for passed in PASSES:
            pairs = zip(times[name][passed], times[LIMIT][passed], strict=True)
            median, lower, higher = quantiles(times[name][passed])
            values = (
                shape.name,
                shape.rows,
                shape.width,
                shape.tokens,
                str(dtype).removeprefix("torch."),
                name,
                passed,
            )
            values += (median, lower, higher, statistics.median(ours / limit for ours, limit in pairs))
            values += (None, None) if memory is None else (memory.kept / 2**20, memory.peak / 2**20)
            rows.append(dict(zip(COLUMNS, values, strict=True)))
    return rows


def _memory(name: str, subject: Subject, device: str) -> Memory | None:
    if device == "cuda":
        return gpu_memory(subject)
    return None if "compile" in name else cpu_memory(subject)


def print_shape(rows: Sequence[dict], shape: Shape) -> None:
    print(f"\n{shape.name}: {rows[0]['rows']} rows, d {shape.width}, n {shape.tokens}, {rows[0]['dtype']}")
    titles = [f"{passed} ms" for passed in PASSES]
    print(f"  {'':<18}" + "".join(f"{title:>22}" for title in titles) + f"{'kept MiB':>12}{'peak MiB':>12}")
    for name in dict.fromkeys(row["implementation"] for row in rows):
        own = {row["pass"]: row for row in rows if row["implementation"] == name}
        cells = [f"{own[passed]['milliseconds']:.2f} ({own[passed]['ratio']:.2f}x)" for passed in PASSES]
        memory = (own["both"]["kept_mebibytes"], own["both"]["peak_mebibytes"])
        cells_of_memory = "".join(f"{'' if value is None else f'{value:.0f}':>12}" for value in memory)
        print(f"  {name:<18}" + "".join(f"{cell:>22}" for cell in cells) + cells_of_memory, flush=True)


def print_predictions(shape: Shape, device: str) -> None:
    """The roofline's times for a card that it knows."""
    for known, card in CARDS.items():
        if device == "cuda" and known in device_name(device):
            ratios = {name: predicted_ratio(card, shape, IMPLEMENTATIONS[name]) for name in IMPLEMENTATIONS}
            print("  predicted: " + ", ".join(f"{name} {ratio:.2f}x" for name, ratio in ratios.items()))


def write_results(rows: Sequence[dict], device: str, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "pattention.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)
    (folder / "machine.json").write_text(json.dumps(machine(device), indent=2) + "\n", encoding="utf-8")
    draw_ratios(rows, f"Pattention, forward and backward, {device_name(device)}", folder / "pattention.png")


def run(shapes: Sequence[Shape], dtype: torch.dtype, device: str, seconds: float, folder: Path) -> list[dict]:
    """Measures, prints and writes; the shapes have the rows that are measured."""
    absence = absence_of_a_compiler(device)
    if absence:
        print(f"torch.compile is left out: {absence}")
    functions, rows = implementations(device), []
    for shape in shapes:
        if device == "cuda":
            torch.compiler.reset()  # a graph for every shape
        measured = measure_shape(functions, shape, dtype, device, seconds)
        print_shape(measured, shape)
        print_predictions(shape, device)
        rows += measured
    write_results(rows, device, folder)
    print(f"\nwritten to {folder}")
    return rows


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument(
        "--shapes", nargs="+", choices=[shape.name for shape in SHAPES], help="all of them if not given"
    )
    parser.add_argument("--rows", type=int, help="in place of the shapes' own")
    parser.add_argument("--dtype", choices=("float32", "bfloat16", "float16"), help="fp32 on a CPU, bf16 on a GPU")
    parser.add_argument("--threads", type=int, default=1, help="of the CPU")
    parser.add_argument("--seconds", type=float, default=4, help="for each shape on a CPU, beyond three repetitions")
    parser.add_argument("--output", type=Path, help="folder; the device's under benchmarks/results if not given")
    arguments = parser.parse_args()
    if arguments.device == "cuda" and not torch.cuda.is_available():
        print("there is no GPU that torch can use; measure with --device cpu", file=sys.stderr)
        return 2
    if importlib.util.find_spec("matplotlib") is None:
        print("the picture needs the package 'matplotlib': pip install 'tokenformer[report]'", file=sys.stderr)
        return 2
    torch.set_num_threads(arguments.threads)
    dtype = getattr(torch, arguments.dtype or ("bfloat16" if arguments.device == "cuda" else "float32"))
    shapes = [shape for shape in SHAPES if arguments.shapes is None or shape.name in arguments.shapes]
    if arguments.rows is not None:
        shapes = [shape.with_rows(arguments.rows) for shape in shapes]
    elif arguments.device == "cpu":
        shapes = [shape.with_rows(rows_for_a_cpu(shape)) for shape in shapes]
    run(shapes, dtype, arguments.device, arguments.seconds, arguments.output or results_folder(arguments.device))
    return 0


if __name__ == "__main__":
    sys.exit(main())
