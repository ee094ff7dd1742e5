"""What a rank of a layout records of its training; written by parallel_training.py, read by its test."""

from dataclasses import dataclass, field

import torch


@dataclass
class Part:
    """What one rank holds of a parameter or of its gradient, and where that belongs in the whole.

    Args:
        slices: pairs of slices, of `tensor` and of the whole.
        whole_shape: shape of the whole.
    """

    tensor: torch.Tensor
    slices: list[tuple[tuple, tuple]]
    whole_shape: tuple[int, ...]


@dataclass
class Recording:
    """What one rank saw of a run.

    Args:
        losses: of every step, on the ranks that know it.
        gradient_norms: as reported, of every step.
        gradients: of the first step, as the optimizer gets them, by the name that is the same in every layout.
        weights: at the end.
    """

    losses: list[float] = field(default_factory=list)
    gradient_norms: list[float] = field(default_factory=list)
    gradients: dict[str, Part] = field(default_factory=dict)
    weights: dict[str, Part] = field(default_factory=dict)
