"""Weight decay and learning rate by group of parameters, inside Nanotron's own optimizer."""

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from nanotron import helpers
from nanotron.optim.named_optimizer import NamedOptimizer

from tokenformer.config.sections import ParameterGroup

NamedParameters = list[tuple[str, Any]]


def split_into_groups(
    named_params: NamedParameters, groups: list[ParameterGroup], learning_rate: float
) -> list[dict[str, Any]]:
    """Parameter groups as torch's optimizers take them, but with named parameters.

    A parameter belongs to the first group whose pattern its name matches; those that match none come first, in a group
    of their own. Empty groups are kept, so that every process has the same number.
    """
    members: list[NamedParameters] = [[] for _ in range(len(groups) + 1)]
    for name, param in named_params:
        matching = (index for index, group in enumerate(groups, start=1) if re.search(group.parameters, name))
        members[next(matching, 0)].append((name, param))
    result: list[dict[str, Any]] = [{"named_params": members[0]}]
    for group, named in zip(groups, members[1:], strict=True):
        options = {"named_params": named, "lr": learning_rate * group.learning_rate_factor}
        if group.weight_decay is not None:
            options["weight_decay"] = group.weight_decay
        result.append(options)
    return result


@contextmanager
def grouped_parameters(groups: list[ParameterGroup], learning_rate: float) -> Iterator[None]:
    """While it lasts, optimizers that Nanotron builds have these groups, whatever it wraps around them."""

    class GroupedOptimizer(NamedOptimizer):
        def __init__(self, named_params_or_groups: Iterable, optimizer_builder):
            given = list(named_params_or_groups)
            if given and isinstance(given[0], dict):
                given = [pair for group in given for pair in group["named_params"]]
            super().__init__(split_into_groups(given, groups, learning_rate), optimizer_builder)

    helpers.NamedOptimizer = GroupedOptimizer
    try:
        yield
    finally:
        helpers.NamedOptimizer = NamedOptimizer
