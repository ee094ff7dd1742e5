"""What tests of the row kernels compare: outputs and gradients, with those of the reference in float64."""

import itertools
from collections.abc import Callable, Sequence

import torch

VARIANTS = ("l2_norm_gelu", "gelu_l2_norm", "softmax")
# Variant, kind of tau, eps and GELU.
CASES = list(itertools.product(VARIANTS, ("fixed", "learned"), (0.0, 1e-6), ("erf", "tanh")))
FORMS = [(variant, gelu) for variant in ("l2_norm_gelu", "gelu_l2_norm") for gelu in ("erf", "tanh")]
FORMS.append(("softmax", "erf"))
QUANTITIES = ("output", "x", "keys", "values", "tau")


def name_of(case: tuple) -> str:
    variant, tau, eps, gelu = case
    return f"{variant}, {tau} tau, eps {eps:g}, {gelu}"


def random_inputs(
    rows: Sequence[int], d_in: int, segments: Sequence[int], d_out: int, dtype=torch.float32, device="cpu", seed=0
) -> list[torch.Tensor]:
    """x, keys, values of a dtype and an fp32 tau [segments]."""
    generator = torch.Generator().manual_seed(seed)
    n = sum(segments)
    shapes = (*rows, d_in), (n, d_in), (n, d_out)
    matrices = [torch.randn(shape, generator=generator, dtype=torch.float64).to(device, dtype) for shape in shapes]
    return [*matrices, torch.linspace(1.5, 2.5, len(segments), device=device)]


def results(backend: Callable, inputs: Sequence[torch.Tensor], **options) -> dict[str, torch.Tensor]:
    """The output and the gradient of each input; the gradient that comes in is nowhere constant."""
    leaves = [tensor.detach().clone().requires_grad_() for tensor in inputs]
    output = backend(*leaves[:3], tau=leaves[3], **options)
    incoming = torch.linspace(-1, 2, output.numel(), device=output.device).view_as(output).to(output.dtype)
    gradients = torch.autograd.grad(output, leaves, incoming)
    return dict(zip(QUANTITIES, [output.detach(), *gradients], strict=True))


def row_kernels(x, keys, values, *, tau, segments, **options) -> torch.Tensor:
    """One Pattention by row kernels, in a group of its own."""
    from tokenformer.kernels import triton_backend

    return triton_backend.grouped_pattention(x, [keys], [values], tau=[tau], segments=[segments], **options)[0]


def error(found: torch.Tensor, exact: torch.Tensor) -> float:
    """Relative, in the Frobenius norm."""
    return ((found.double() - exact).norm() / exact.norm()).item()
