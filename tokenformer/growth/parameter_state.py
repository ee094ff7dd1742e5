"""The state of one whole parameter in training, and how a growth event changes it.

The same function grows a parameter of a live run and one of a checkpoint. Weights and Adam's moments follow the
operator's law. What the law says about the moments of *new* elements can be replaced (`NEW_MOMENTS`):

- `keep`: the law. Appended tokens start with zero moments, the copies of a cloned layer with scaled ones.
- `zero`: no memory of gradients. For the copies of a cloned layer this alone breaks the symmetry between them.
- `mean`: first moment zero, second moment the mean of the old elements. Where whole rows are new it is the mean of
  each column: a row of keys gets its gradient from the same input features as the other rows do, and how large these
  are differs from column to column.

Adam corrects the bias of moments that started at zero by a count of steps, and a tensor has one count for all its
elements. It goes on, so old elements learn as if nothing had happened. New elements with zero moments are taken for
old ones with a long history of tiny gradients: their first update is (1 - beta1) / sqrt(1 - beta2) learning rates
instead of one, which is 0.45 for betas 0.9 and 0.95, but 3.2 for 0.9 and 0.999. With such a beta2 choose `mean`, or
warm the new elements up (`growth.warmup_steps`).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch

from tokenformer.growth.operator import GrowthContext, Transition

MOMENT_POWERS = {"exp_avg": 1, "exp_avg_sq": 2}


@dataclass
class ParameterState:
    """A whole parameter with everything that training keeps beside it.

    Args:
        weight: in the dtype of the model.
        master: the fp32 copy that Nanotron keeps beside 16-bit weights, or None.
        moments: Adam's `exp_avg` and `exp_avg_sq`, empty before the first step.
        step: Adam's count of updates, a scalar, or None before the first.
    """

    weight: torch.Tensor
    master: torch.Tensor | None = None
    moments: dict[str, torch.Tensor] = field(default_factory=dict)
    step: torch.Tensor | None = None

    @property
    def most_precise(self) -> torch.Tensor:
        """The fp32 copy where there is one; the weight is that, rounded."""
        return self.weight if self.master is None else self.master


def _zero(moment: torch.Tensor, new: torch.Tensor, power: int) -> torch.Tensor:
    return moment.masked_fill(new, 0.0)


def _mean(moment: torch.Tensor, new: torch.Tensor, power: int) -> torch.Tensor:
    if power == 1 or new.all():
        return _zero(moment, new, power)
    whole_rows = moment.dim() == new.dim() == 2 and new.shape == (len(moment), 1)
    old = moment[~new[:, 0]] if whole_rows else moment[~new.expand(moment.shape)]
    return torch.where(new, old.double().mean(dim=0).to(moment), moment)


REPLACEMENTS: dict[str, Callable[[torch.Tensor, torch.Tensor, int], torch.Tensor]] = {"zero": _zero, "mean": _mean}
NEW_MOMENTS = ("keep", *REPLACEMENTS)


def grown_state(
    name: str, old: Mapping[str, ParameterState], transition: Transition, context: GrowthContext, new_moments: str
) -> ParameterState:
    """The state of a parameter of the grown model.

    A 16-bit weight is the rounded fp32 copy, as after every step.

    Args:
        old: the states of the parameter's sources, in their order; they are not changed, but the result may hold their
            tensors.
        new_moments: one of NEW_MOMENTS.
    """
    growth, states = transition.growth_of(name), list(old.values())
    weights = [state.weight for state in states]
    masters = [state.master for state in states if state.master is not None]
    master = transition.weight(name, masters, context) if masters else None
    weight = transition.weight(name, weights, context) if master is None else master.to(weights[0].dtype)
    steps = [state.step for state in states if state.step is not None]
    moments = {}
    for key, power in MOMENT_POWERS.items() if steps else ():
        moments[key] = growth.moment(*(state.moments[key] for state in states), power=power)
        if new_moments != "keep":
            new = growth.new_elements().to(moments[key].device)
            moments[key] = REPLACEMENTS[new_moments](moments[key], new, power)
        if moments[key].shape != weight.shape:
            raise ValueError(
                f"{transition.operator.name} makes {name} of shape {tuple(weight.shape)} and its moment {key} of shape "
                f"{tuple(moments[key].shape)}; its plan must make both alike"
            )
    return ParameterState(weight, master, moments, max(steps, default=None))
