"""HyperCloning of single tensors (Samragh et al. 2024, arXiv:2409.12903): layers with repeated inputs and outputs.

A weight W [outputs, inputs] whose outputs shall come in r copies and whose inputs come in k equal copies becomes

    symmetric   [[W/k, .., W/k], ..]        r x k blocks
    diagonal    [[W, 0], [0, W]]            where r = k > 1; otherwise as symmetric

Both give every copy of the output its old value, since the k copies of an input add up. Noise keeps that: in each row
of blocks, N is added to one column of blocks and taken from its neighbour, and equal inputs cancel it. With an odd k
the last column has no partner and no noise. N is normal, with the power of W/k divided by 10^(decibels / 10) exactly,
not on average. It differs from row to row of blocks, so that copies have different weights and, after a step,
different values.

How fast such a layer learns follows from the same picture. Let its output be multiplied by a scale s beside (1 but
for a final norm under a tied head). The weight is then a = s / k times the old one. If a model is made of such
layers, what reads the r copies gives each of them an r-th of the gradient that the one output had, and 1 / s of that;
every block of the gradient is therefore c = 1 / (r s) times the old gradient, the empty blocks of a diagonal clone
included. So Adam's moments are the old ones times c and c^2 in every block, and its update, which has no scale, is
the old one. The function depends on the sum of a row of k blocks: it moves as fast as before at a times the learning
rate, with decoupled weight decay divided by a, and Adam's eps times c.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import torch

from tokenformer.growth.operator import ParameterGrowth

KINDS = ("symmetric", "diagonal")


class Part(NamedTuple):
    """Rows of a parameter that are cloned by themselves, and how many copies its outputs get."""

    rows: int
    outputs: int


@dataclass(frozen=True)
class CloneRule:
    """How one parameter of a model is cloned.

    Args:
        parts: the rows of the old parameter, in their order: one part, or those that are fused in it.
        columns: length of a row; None for a vector.
        inputs: copies of its inputs.
        scale: what its outputs are multiplied by.
        rows_are_inputs: it is stored as [inputs, outputs], as embeddings and value tokens are.
        noisy: takes noise where its inputs are copied.
        noise_rows: outputs that share one level of noise, such as those of a head; None is a whole part.
    """

    parts: tuple[Part, ...]
    columns: int | None = None
    inputs: int = 1
    scale: float = 1.0
    rows_are_inputs: bool = False
    noisy: bool = True
    noise_rows: int | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the old parameter."""
        rows = sum(part.rows for part in self.parts)
        return (rows,) if self.columns is None else (rows, self.columns)

    @property
    def learning_rate_factor(self) -> float:
        return self.scale / self.inputs

    def copies(self, part: Part) -> tuple[int, int]:
        """Copies of the rows and of the columns of a part, as they are stored."""
        return (self.inputs, part.outputs) if self.rows_are_inputs else (part.outputs, self.inputs)

    def growth(self, source: str, kind: str = "symmetric", noise_db: float | None = None) -> ParameterGrowth:
        """How the clone of `source` comes about; `kind` and `noise_db` as `cloned_matrix` takes them."""
        return ParameterGrowth(
            (source,),
            weight=partial(clone, rule=self, kind=kind, noise_db=noise_db),
            moment=partial(clone_moment, rule=self),
            new=partial(outside_first_copy, self),
            learning_rate_factor=self.learning_rate_factor,
        )


def _noise(power: torch.Tensor, shape: Sequence[int], generator: torch.Generator | None) -> torch.Tensor:
    """Normal noise whose mean square is `power` exactly, in its dtype; drawn in fp32 on the CPU."""
    noise = torch.randn(shape, generator=generator, dtype=torch.float32, device="cpu").to(power)
    return noise * torch.sqrt(power / torch.mean(noise**2))


def _add_noise(
    cloned: torch.Tensor,
    weight: torch.Tensor,
    inputs: int,
    decibels: float,
    noise_rows: int,
    generator: torch.Generator | None,
) -> None:
    width = weight.shape[1]
    for start in range(0, len(cloned), noise_rows):
        rows, first = slice(start, start + noise_rows), start % len(weight)
        signal = torch.mean((weight[first : first + noise_rows] / inputs) ** 2)
        for copy in range(0, inputs - 1, 2):
            noise = _noise(signal / 10 ** (decibels / 10), (noise_rows, width), generator)
            cloned[rows, copy * width : (copy + 1) * width] += noise
            cloned[rows, (copy + 1) * width : (copy + 2) * width] -= noise


def cloned_matrix(
    weight: torch.Tensor,
    outputs: int,
    inputs: int,
    *,
    kind: str = "symmetric",
    noise_db: float | None = None,
    noise_rows: int | None = None,
    generator: torch.Generator | None = None,
) -> torch.Tensor:
    """The weight of a layer with `outputs` copies of its outputs that reads `inputs` equal copies of its inputs.

    Args:
        weight: [out, in], fp32 or wider.
        kind: "symmetric" or "diagonal".
        noise_db: signal-to-noise ratio; None is no noise. The signal is a block of the symmetric clone for both kinds.
        noise_rows: how many successive outputs share a level of noise, a divisor of `out`; None is all of them.
        generator: of the CPU; None is torch's own. Drawn from by `noise_rows` outputs after another and, within them,
            by pairs of input copies: the order of the authors' code.

    Returns:
        [outputs out, inputs in].
    """
    if kind == "diagonal" and outputs == inputs:
        cloned = torch.block_diag(*[weight] * outputs)
    else:
        cloned = weight.repeat(outputs, inputs) / inputs
    if noise_db is not None:
        _add_noise(cloned, weight, inputs, noise_db, noise_rows or len(weight), generator)
    return cloned


def _blocks(old: torch.Tensor, rule: CloneRule) -> tuple[torch.Tensor, ...]:
    """The parts of a parameter, each [rows, columns]."""
    if tuple(old.shape) != rule.shape:
        raise ValueError(f"a parameter of shape {tuple(old.shape)} stands where the config has {rule.shape}")
    return old.reshape(len(old), -1).split([part.rows for part in rule.parts])


def clone(
    old: torch.Tensor,
    rule: CloneRule,
    kind: str = "symmetric",
    noise_db: float | None = None,
    generator: torch.Generator | None = None,
) -> torch.Tensor:
    """The parameter of the grown model, in the dtype of the old one; computed in fp32, or fp64 where that is given."""
    wide = old.to(torch.promote_types(old.dtype, torch.float32))
    cloned = []
    for part, block in zip(rule.parts, _blocks(wide, rule), strict=True):
        grown = cloned_matrix(
            block.T if rule.rows_are_inputs else block,
            part.outputs,
            rule.inputs,
            kind=kind,
            noise_db=noise_db if rule.noisy else None,
            noise_rows=rule.noise_rows,
            generator=generator,
        )
        cloned.append(grown.T if rule.rows_are_inputs else grown)
    whole = torch.cat(cloned).mul_(rule.scale).to(old.dtype)
    return whole.flatten() if rule.columns is None else whole.contiguous()


def clone_moment(old: torch.Tensor, rule: CloneRule, power: int) -> torch.Tensor:
    """The moment of the gradient's `power`: the old one in every block, by the factor of the gradient to that power."""
    blocks = [
        block.repeat(*rule.copies(part)) * (1 / (part.outputs * rule.scale)) ** power
        for part, block in zip(rule.parts, _blocks(old, rule), strict=True)
    ]
    whole = torch.cat(blocks).to(old.dtype)
    return whole.flatten() if rule.columns is None else whole


def outside_first_copy(rule: CloneRule) -> torch.Tensor:
    """False where the grown parameter continues the old one, true elsewhere: bool, of the grown shape."""
    masks = []
    for part in rule.parts:
        row_copies, column_copies = rule.copies(part)
        new_rows = torch.arange(part.rows * row_copies) >= part.rows
        columns = rule.columns or 1
        new_columns = torch.arange(columns * column_copies) >= columns
        masks.append(new_rows[:, None] | new_columns)
    return torch.cat(masks).flatten() if rule.columns is None else torch.cat(masks)
