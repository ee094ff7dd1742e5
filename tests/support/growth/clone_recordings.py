"""Clones of a tiny Llama whose weights are given by a formula, over a grid of models and settings, as in golden/.

`python -m tests.support.growth.clone_recordings` records the files anew. With one generator, and without noise, the
clones were equal bit for bit, over the whole grid, to what the authors' code (apple/ml-hypercloning at 7c4e80b, with
transformers 4.46.3 and torch 2.13 on a CPU) makes of the same weights. With a generator for each parameter they
are what a run of ours makes.

Digests hold all values of all cases. Without noise they are the same on every processor, which only divides by whole
numbers. Noise is drawn and scaled by torch's vectorised code, whose last bits are the same with AVX2 and with AVX-512,
and others without either: so VALUES numbers of each noisy matrix are kept too.
"""

import hashlib
import json
from dataclasses import dataclass
from itertools import product

import torch
from safetensors.torch import save_file

from tests.support.growth.plain_models import LlamaConfig, grown, growth_of, llama_shapes, parameter_names
from tests.support.places import REPOSITORY
from tokenformer.growth.hypercloning import HyperCloning

GOLDEN = REPOSITORY / "tests" / "growth" / "golden"
DIGESTS, VALUES_KEPT = GOLDEN / "hypercloning.json", GOLDEN / "hypercloning_noise.safetensors"

SEED = 1234
KEY_VALUE_HEADS = (1, 2, 4)
FACTORS = ((2, 2), (2, 1), (1, 2), (3, 3), (4, 2))
NOISE = (None, 40.0, 10.0, 0.0)
DRAWN = ("qkv_proj", "o_proj", "gate_up_proj", "down_proj")  # in the authors' order
VALUES = 16  # of each of them


@dataclass(frozen=True)
class CloneCase:
    """One point of the grid."""

    key_value_heads: int
    tied: bool
    factors: tuple[int, int]
    noise_db: float | None

    @property
    def config(self) -> LlamaConfig:
        return LlamaConfig(8, 12, 1, 4, self.key_value_heads, 11, tie_word_embeddings=self.tied)

    @property
    def operator(self) -> HyperCloning:
        return HyperCloning(*self.factors, noise_db=self.noise_db, tied_embeddings="untie")

    def __str__(self) -> str:
        width, feed_forward = self.factors
        noise = "no noise" if self.noise_db is None else f"{self.noise_db:.0f} dB"
        head = "tied" if self.tied else "untied"
        return f"{width} x {feed_forward}, {self.key_value_heads} key and value heads, {head}, {noise}"


GRID = [CloneCase(*point) for point in product(KEY_VALUE_HEADS, (True, False), FACTORS, NOISE)]
WITHOUT_NOISE = [case for case in GRID if case.noise_db is None]
NOISY = [case for case in GRID if case.noise_db is not None]


def formula_weights(shapes: dict[str, tuple[int, ...]]) -> dict[str, torch.Tensor]:
    """Multiples of 1/256 between -1/2 and 1/2, the same on every machine."""
    weights = {}
    for index, (name, shape) in enumerate(sorted(shapes.items())):
        count = torch.Size(shape).numel()
        numbers = (torch.arange(count) * 37 + torch.arange(count) // 11 * 101 + 53 * index) % 257 - 128
        weights[name] = (numbers.float() / 256).reshape(shape)
    return weights


def one_generator(case: CloneCase) -> dict[str, torch.Tensor]:
    """The grown parameters with noise as the authors' code draws it: all from one generator, matrix after matrix."""
    operator, config, old = case.operator, case.config, formula_weights(llama_shapes(case.config))
    generator, after = torch.Generator().manual_seed(SEED), operator.grown_config(config)
    rank = {module: place for place, module in enumerate(DRAWN)}
    names = sorted(parameter_names(after), key=lambda name: rank.get(name.split(".")[-2], -1))
    parameters = {}
    for name in names:
        growth = growth_of(operator, name, config, after)
        parameters[name] = growth.weight(old[growth.sources[0]], generator=generator)
    return parameters


def generator_each(case: CloneCase) -> dict[str, torch.Tensor]:
    """The grown parameters as a run makes them."""
    old = formula_weights(llama_shapes(case.config))
    return grown(case.operator, case.config, old, seed=SEED, stage=2)[0]


DRAWING = {"one generator": one_generator, "a generator each": generator_each}


def digest(parameters: dict[str, torch.Tensor]) -> str:
    """SHA-256 of all values, parameter after parameter in the order of their names."""
    whole = hashlib.sha256()
    for name in sorted(parameters):
        whole.update(parameters[name].contiguous().numpy().astype("<f4").tobytes())
    return whole.hexdigest()


def spread_values(parameters: dict[str, torch.Tensor]) -> torch.Tensor:
    """From the first to the last value of the matrices that noise is drawn for, [DRAWN, VALUES]."""
    rows = []
    for module in DRAWN:
        (matrix,) = (tensor for name, tensor in parameters.items() if name.split(".")[-2] == module)
        places = torch.arange(VALUES) * (matrix.numel() - 1) // (VALUES - 1)
        rows.append(matrix.flatten()[places])
    return torch.stack(rows)


def digests() -> dict[str, dict[str, str]]:
    """By the way of drawing, then by the case."""
    return {way: {str(case): digest(draw(case)) for case in GRID} for way, draw in DRAWING.items()}


def noisy_values() -> dict[str, torch.Tensor]:
    """By the way of drawing: values of all cases, [NOISY, DRAWN, VALUES]."""
    return {way: torch.stack([spread_values(draw(case)) for case in NOISY]) for way, draw in DRAWING.items()}


if __name__ == "__main__":
    DIGESTS.write_text(json.dumps(digests(), indent=0) + "\n", encoding="utf-8")
    save_file(noisy_values(), VALUES_KEPT)
