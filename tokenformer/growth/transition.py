"""One growth event as a step from model to model, and what a chain of them did to a parameter."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from tokenformer.growth.operator import GrowthOperator


@dataclass(frozen=True)
class Transition:
    """An operator with the configs of the model before and after it."""

    operator: GrowthOperator
    before: Any
    after: Any

    def sources(self, name: str) -> tuple[str, ...]:
        return self.operator.sources(name, self.before, self.after)

    def new_part(self, name: str) -> torch.Tensor:
        """bool, broadcasts to the shape of the whole grown parameter."""
        return self.operator.new_part(name, self.before, self.after)


def learning_rate_factor(name: str, transitions: Sequence[Transition]) -> float:
    """What the growth events so far multiplied a parameter's learning rate by, in all.

    A parameter that is made of others inherits the factor of the first of them.

    Args:
        name: of a parameter of the model after the last transition.
        transitions: oldest first.
    """
    if not transitions:
        return 1.0
    last = transitions[-1]
    factor = last.operator.learning_rate_factor(name, last.before, last.after)
    sources = last.sources(name)
    return factor * learning_rate_factor(sources[0], transitions[:-1]) if sources else factor
