"""Weight decay and learning rate by group of parameters, inside Nanotron's own optimizer."""

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from nanotron import helpers
from nanotron.optim.named_optimizer import NamedOptimizer

from tokenformer.config.nanotron_sections import Optimizer
from tokenformer.trainer.bridge.repairs import cannot_repair, check_has, replace

REPAIR = "Nanotron's optimizers of a run have its parameter groups"

NamedParameters = list[tuple[str, Any]]


def split_into_groups(
    named_params: NamedParameters, optimizer: Optimizer, size_factors: dict[str, float]
) -> list[dict[str, Any]]:
    """Parameter groups as torch's optimizers take them, but with named parameters.

    A parameter belongs to the first group of the config whose pattern its name matches; those that match none come
    first, in a group of their own. Each of these groups is there once for every size factor, 1 first: the learning
    rate is multiplied by the factor and weight decay divided by it, since AdamW's decay is their product. Empty groups
    are kept, so that every process has the same ones.

    Args:
        size_factors: factors of the learning rate, by the name of every parameter of the whole model.
    """
    members: dict[tuple[float, int], NamedParameters] = {}
    for factor in sorted({1.0, *size_factors.values()}, key=lambda factor: (factor != 1.0, factor)):
        members |= {(factor, index): [] for index in range(len(optimizer.parameter_groups) + 1)}
    for name, param in named_params:
        patterns = enumerate((group.parameters for group in optimizer.parameter_groups), start=1)
        index = next((index for index, pattern in patterns if re.search(pattern, name)), 0)
        members[size_factors.get(name, 1.0), index].append((name, param))
    return [{"named_params": named, **_options(optimizer, index, factor)} for (factor, index), named in members.items()]


def _options(optimizer: Optimizer, index: int, size_factor: float) -> dict[str, float]:
    """Learning rate and weight decay of a group of the config, counted from 1; 0 is the rest."""
    rate, weight_decay = optimizer.learning_rate_scheduler.learning_rate, optimizer.weight_decay
    if index:
        group = optimizer.parameter_groups[index - 1]
        rate *= group.learning_rate_factor
        weight_decay = weight_decay if group.weight_decay is None else group.weight_decay
    return {"lr": rate * size_factor, "weight_decay": weight_decay / size_factor}


def check_place() -> None:
    """Raises UserError where Nanotron has no place for `grouped_parameters`."""
    check_has(helpers, "NamedOptimizer", REPAIR)


@contextmanager
def grouped_parameters(optimizer: Optimizer, size_factors: Callable[[], dict[str, float]]) -> Iterator[None]:
    """While it lasts, optimizers that Nanotron builds have these groups, whatever it wraps around them.

    Args:
        size_factors: asked once an optimizer; see `split_into_groups`.

    Raises, at its end:
        UserError: Nanotron built none.
    """
    built = 0

    class GroupedOptimizer(NamedOptimizer):
        def __init__(self, named_params_or_groups: Iterable, optimizer_builder):
            given = list(named_params_or_groups)
            if given and isinstance(given[0], dict):
                given = [pair for group in given for pair in group["named_params"]]
            super().__init__(split_into_groups(given, optimizer, size_factors()), optimizer_builder)
            nonlocal built
            built += 1

    replace(helpers, "NamedOptimizer", GroupedOptimizer, REPAIR)
    try:
        yield
    finally:
        helpers.NamedOptimizer = NamedOptimizer
    if not built:
        raise cannot_repair(REPAIR, "it built an optimizer in another way")
