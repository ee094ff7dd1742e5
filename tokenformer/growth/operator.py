"""What every growth operator offers."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import torch


@dataclass(frozen=True)
class GrowthContext:
    """What an operator may know beside the parameter itself.

    Args:
        seed: the run's seed; whatever is drawn depends on it, the stage and the parameter's name alone.
        stage: number of this growth event, from 1.
        shard: this process' rank and the number of ranks over which parameter tokens are sharded.
        root_mean_square: of a parameter of the old model by name, over all of its shards.
    """

    seed: int
    stage: int
    shard: tuple[int, int]
    root_mean_square: Callable[[str], float]


class GrowthOperator(Protocol):
    """One way to make a larger model out of a smaller one, as pure functions of configs and tensors."""

    name: str
    model_type: str

    def is_exact(self, config: Any) -> bool:
        """Whether a model of this config computes the same function after growth, to rounding."""

    def grown_config(self, config: Any) -> Any:
        """The config of the grown model; the old one is not changed."""

    def grown_parameter(
        self, name: str, old: torch.Tensor, before: Any, after: Any, context: GrowthContext
    ) -> torch.Tensor:
        """This process' shard of a parameter of the grown model, from its shard of the old one."""

    def grown_moment(self, name: str, old: torch.Tensor, before: Any, after: Any) -> torch.Tensor:
        """This process' shard of an Adam moment of that parameter, from its shard of the old one."""
