"""A learning rate of their own for the elements that the last growth event made.

Old and new elements share a tensor, so they cannot be in different groups of the optimizer. Instead the optimizer steps
as always, and then every new element goes back a part of its way: old + f (stepped - old). For AdamW this is exactly a
learning rate f times as large, decay included, since both its parts are proportional to the rate and the moments do not
depend on it.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.distributed
from nanotron.trainer import DistributedTrainer

from tokenformer.growth.operator import Transition
from tokenformer.growth.policy import GrowthPolicy
from tokenformer.trainer.checkpoint.tensor_shards import shard_of, whole_shape
from tokenformer.trainer.growing.live_state import optimizer_slices, unwrapped


def rate_of_new_elements(step: int, event_step: int, warmup_steps: int, factor: float) -> float:
    """Learning rate divided by that of the others: rises evenly over `warmup_steps` steps, then stays `factor`.

    Args:
        step: number of the step that is being done, from 1.
        event_step: steps done when the model grew.
    """
    return factor * min(1.0, (step - event_step) / max(warmup_steps, 1))


@dataclass
class NewElements:
    """Lets `rate` times the learning rate act on the elements of a parameter that `is_new` marks.

    Args:
        tensor: what the optimizer steps: the parameter, its fp32 copy, or a flat slice of either.
        is_new: bool, of the tensor's shape.
    """

    tensor: torch.Tensor
    is_new: torch.Tensor

    def remember(self) -> None:
        self.before = self.tensor[self.is_new]

    def take_back(self, rate: float) -> None:
        self.tensor[self.is_new] = torch.lerp(self.before, self.tensor[self.is_new], rate)
        del self.before


def slow_down(optimizer: torch.optim.Optimizer, parts: list[NewElements], rate: Callable[[], float | None]) -> None:
    """Makes steps of the optimizer move the new elements at `rate()` times the learning rate, until that is None."""

    @torch.no_grad()
    def remember(*_) -> None:
        if rate() is None:
            parts.clear()
        for part in parts:
            part.remember()

    @torch.no_grad()
    def take_back(*_) -> None:
        factor = rate()
        if factor is not None:
            for part in parts:
                part.take_back(factor)

    optimizer.register_step_pre_hook(remember)
    optimizer.register_step_post_hook(take_back)


def new_elements_of(trainer: DistributedTrainer, transition: Transition) -> list[NewElements]:
    """The new elements that this process optimizes."""
    optimizer, dp_pg = trainer.optimizer, trainer.parallel_context.dp_pg
    params = dict(unwrapped(trainer.model).get_named_params_with_correct_tied())
    found = []
    for group in optimizer.get_base_optimizer().param_groups:
        for optimized in group["params"]:
            name = optimizer.id_to_name[id(optimized)]
            param, new = params[name], transition.growth_of(name).new_elements()
            if not new.any():
                continue
            start, end = optimizer_slices(optimizer, name, param.numel(), dp_pg.size())[dp_pg.rank()]
            is_new = shard_of(new.expand(whole_shape(param)), param).flatten()[start:end]
            is_new = is_new.view(optimized.shape).to(param.device)
            # ZeRO-1 steps a wrapper around a slice of the parameter.
            found.append(NewElements(getattr(optimized, "sliced_flat_tensor", optimized.detach()), is_new))
    return [part for part in found if part.is_new.any()]


def slow_down_new_elements(
    trainer: DistributedTrainer, policy: GrowthPolicy, transition: Transition, event_step: int
) -> None:
    """Gives the elements that an event made the learning rate of the policy, until another event."""
    warmup_steps, factor = policy.warmup_steps, policy.learning_rate_factor

    def rate() -> float | None:
        is_over = factor == 1.0 and trainer.iteration_step >= event_step + warmup_steps
        return None if is_over else rate_of_new_elements(trainer.iteration_step, event_step, warmup_steps, factor)

    if rate() is not None:
        slow_down(trainer.optimizer.get_base_optimizer(), new_elements_of(trainer, transition), rate)
