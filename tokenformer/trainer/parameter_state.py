"""What training knows about one parameter."""

from dataclasses import dataclass, field

import torch


@dataclass
class ParameterState:
    """Everything about one parameter that a checkpoint keeps: whole, or what one process holds of it.

    Args:
        weight: in the dtype of the model.
        master: the fp32 copy that Nanotron keeps beside 16-bit weights, or None.
        moments: Adam's `exp_avg` and `exp_avg_sq`, empty before the first step.
        step: Adam's count of updates, or None before the first.
    """

    weight: torch.Tensor
    master: torch.Tensor | None = None
    moments: dict[str, torch.Tensor] = field(default_factory=dict)
    step: torch.Tensor | None = None

    @property
    def most_precise(self) -> torch.Tensor:
        """The fp32 copy where there is one; the weight is that, rounded."""
        return self.weight if self.master is None else self.master
