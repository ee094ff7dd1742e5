"""Everything about the row kernels that only a GPU can say: `python -m benchmarks.gpu_sweep`, or `make bench-gpu`.

First that they are right on this card: close to float64, the same bits twice, and rows beyond 2^31 elements. Then the
table of `benchmarks.pattention` at every shape, with the roofline's predictions, and the bandwidth of the row kernels
alone by the number of tokens, which shows what the lanes cost that a width between powers of two leaves idle.
Everything is written to a folder with the card's name.
"""

import argparse
import csv
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import torch

from benchmarks import pattention as table
from benchmarks.measuring.compared_layers import row_kernels
from benchmarks.measuring.machine import results_folder
from benchmarks.measuring.shapes import SHAPES, Shape
from tokenformer.kernels import choose_backend, reference
from tokenformer.kernels.triton_theta import RowTheta

WIDTHS = (256, 384, 768, 1024, 1536, 3072, 4096, 5120, 6144, 7168, 8192, 16384)
ELEMENTS = 2**27  # of the score, whatever its width: a quarter of a gigabyte, more than any cache
FAR = ((266240, 8192), (65536, 40960))  # rows and tokens, more than 2^31 elements: in one step, and in two
NO_GPU = (
    "this measures a GPU, and torch finds none here; `python -m benchmarks.roofline` predicts what one would take, and "
    "`python -m benchmarks.pattention --device cpu` measures this machine"
)
VARIANT = {"variant": "l2_norm_gelu", "gelu": "erf"}


def check_values(device: str, rows: int = 256, width: int = 128, tokens: int = 384) -> Iterator[str]:
    """Errors of output and gradients against the reference in float64, beside those of eager bf16."""
    generator = torch.Generator(device).manual_seed(0)
    shapes = (rows, width), (tokens, width), (tokens, width), (rows, width)
    tensors = [torch.randn(shape, generator=generator, device=device).bfloat16() for shape in shapes]

    def gradients(function: Callable, dtype: torch.dtype) -> list[torch.Tensor]:
        *leaves, incoming = (tensor.to(dtype, copy=True).requires_grad_() for tensor in tensors)
        output = function(*leaves)
        return [output.detach(), *torch.autograd.grad(output, leaves, incoming)]

    def plain(x, keys, values):
        tau = torch.full((1,), tokens**0.5, device=device)
        return reference.pattention(x, keys, values, segments=[tokens], tau=tau, eps=1e-6, **VARIANT)

    exact = gradients(plain, torch.float64)
    ours, eager = gradients(row_kernels, torch.bfloat16), gradients(plain, torch.bfloat16)
    for name, truth, *found in zip(("output", "dX", "dK", "dV"), exact, ours, eager, strict=True):
        errors = [((tensor.double() - truth).norm() / truth.norm()).item() for tensor in found]
        assert errors[0] <= errors[1] + 1e-4, f"{name} is off by {errors[0]:.1e}, eager torch by {errors[1]:.1e}"
        yield f"{name}: relative error {errors[0]:.1e}, eager torch {errors[1]:.1e}"


def check_bits(device: str, rows: int = 4096, width: int = 768, tokens: int = 3072) -> Iterator[str]:
    """Two runs give the same bits."""
    subject = table.subjects_for({"ours": row_kernels}, Shape("", rows, width, tokens), torch.bfloat16, device)["ours"]

    def run() -> list[torch.Tensor]:
        output = subject.forward()
        return [output, *torch.autograd.grad(output, subject.inputs, subject.incoming)]

    for first, second in zip(run(), run(), strict=True):
        assert torch.equal(first, second), "two runs differ"
    yield "two runs: the same bits"


def check_far_rows(device: str, rows: int, tokens: int) -> Iterator[str]:
    """The last rows of a score of more than 2^31 elements are what they are by themselves."""
    wanted = 3 * 2 * rows * tokens
    if device == "cuda" and torch.cuda.mem_get_info()[0] < wanted:
        yield f"{rows} x {tokens}: left out, since it needs {wanted / 2**30:.0f} GiB of free memory"
        return
    theta, tau = RowTheta((tokens,), 1e-6, **VARIANT), torch.full((1,), tokens**0.5, device=device)
    score = torch.empty(rows, tokens, dtype=torch.bfloat16, device=device).normal_()
    few, grad = score[-2:].clone(), torch.ones(2, tokens, dtype=score.dtype, device=device)
    weights, grads = torch.empty_like(score), torch.ones_like(score)
    theta.backward_(grads, score, theta.forward(score, tau, out=weights), tau, out=weights)
    few_weights = torch.empty_like(few)
    theta.backward_(grad, few, theta.forward(few, tau, out=few_weights), tau, out=few_weights)
    assert torch.equal(weights[-2:], few_weights) and torch.equal(grads[-2:], grad), "far rows are wrong"
    yield f"{rows} x {tokens} = {rows * tokens / 2**31:.2f} x 2^31 elements: the last rows are right"


def sweep_widths(device: str, widths: Sequence[int], elements: int) -> Iterator[dict]:
    """Terabytes a second that the row kernels need at the least, and that a plain copy has."""
    from triton.testing import do_bench

    for tokens in widths:
        rows = elements // tokens
        theta, tau = RowTheta((tokens,), 1e-6, **VARIANT), torch.full((1,), tokens**0.5, device=device)
        score = torch.randn(rows, tokens, device=device).bfloat16()
        weights, grad = torch.empty_like(score), torch.randn_like(score)
        statistics = theta.forward(score, tau, out=weights)
        runs = {
            "copy": (4, lambda score=score, weights=weights: weights.copy_(score)),
            "forward": (4, lambda t=theta, s=score, tau=tau, w=weights: t.forward(s, tau, out=w)),
            "backward": (
                8,
                lambda t=theta, g=grad, s=score, r=statistics, tau=tau, w=weights: t.backward_(g, s, r, tau, out=w),
            ),
        }
        row = {"tokens": tokens, "rows": rows}
        for name, (bytes_an_element, function) in runs.items():
            milliseconds = do_bench(function, return_mode="median")
            row[f"{name}_terabytes_per_second"] = bytes_an_element * rows * tokens / milliseconds / 1e9
        yield row


def write_csv(rows: Sequence[dict], path: Path) -> None:
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)


def printed(rows: Iterator[dict]) -> list[dict]:
    """The rows, each printed as it comes."""
    seen = []
    for row in rows:
        cells = (f"{key} {value:.3f}" if isinstance(value, float) else f"{key} {value}" for key, value in row.items())
        print("  " + ", ".join(cells), flush=True)
        seen.append(row)
    return seen


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, help="folder; the card's under benchmarks/results if not given")
    arguments = parser.parse_args()
    if not torch.cuda.is_available():
        print(NO_GPU, file=sys.stderr)
        return 2
    choose_backend("triton")  # an error here says what is missing
    folder = arguments.output or results_folder("cuda")
    folder.mkdir(parents=True, exist_ok=True)
    lines = []
    for check in (check_values("cuda"), check_bits("cuda"), *(check_far_rows("cuda", *size) for size in FAR)):
        for line in check:
            print(line, flush=True)
            lines.append(line)
    (folder / "checks.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    table.run(SHAPES, torch.bfloat16, "cuda", 0, folder)
    print("\nthe row kernels alone")
    write_csv(printed(sweep_widths("cuda", WIDTHS, ELEMENTS)), folder / "widths.csv")
    return 0


if __name__ == "__main__":
    sys.exit(main())
