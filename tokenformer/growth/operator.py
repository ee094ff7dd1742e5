"""What every growth operator offers.

Operators are pure functions of configs and of whole tensors: never of shards. Whoever applies one to a sharded model
gathers what a grown parameter comes from, and cuts the result. So every layout grows into the same model.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import torch


@dataclass(frozen=True)
class GrowthContext:
    """What an operator may know beside the parameters themselves.

    Args:
        seed: the run's seed; whatever is drawn depends on it, the stage and the parameter's name alone.
        stage: number of this growth event, from 1.
    """

    seed: int
    stage: int


class GrowthOperator(Protocol):
    """One way to make a larger model out of a smaller one.

    `name` is that of a parameter of the grown model, as Nanotron names it in any layout; tied parameters have the
    embedding's. `before` and `after` are the configs of the old and the grown model. `old` maps each of
    `sources(name)` to a whole tensor of the old model, which is not changed.
    """

    name: str
    model_types: tuple[str, ...]

    def check_dtype(self, dtype: str) -> None:
        """Whether a model of this dtype, such as "bfloat16", can be grown.

        Raises:
            UserError: it would lose the function to rounding.
        """

    def is_exact(self, config: Any) -> bool:
        """Whether a model of this config computes the same function after growth, to rounding."""

    def grown_config(self, config: Any) -> Any:
        """The config of the grown model; the old one is not changed.

        Raises:
            UserError: the operator cannot grow such a model, or would leave it as it is.
        """

    def sources(self, name: str, before: Any, after: Any) -> tuple[str, ...]:
        """Names of the old model's parameters that this one is made of."""

    def grown_parameter(
        self, name: str, old: Mapping[str, torch.Tensor], before: Any, after: Any, context: GrowthContext
    ) -> torch.Tensor:
        """The whole grown parameter, in the dtype of the old ones. Called for the fp32 copy of 16-bit weights too."""

    def grown_moment(
        self, name: str, old: Mapping[str, torch.Tensor], power: int, before: Any, after: Any
    ) -> torch.Tensor:
        """The whole Adam moment of the grown parameter by the operator's law; zero where the law says nothing.

        Args:
            old: the moments of the sources.
            power: 1 for the mean of gradients, 2 for the mean of their squares.
        """

    def new_part(self, name: str, before: Any, after: Any) -> torch.Tensor:
        """Which elements are new: bool, of the grown parameter's shape or one that broadcasts to it, such as [n, 1]."""

    def learning_rate_factor(self, name: str, before: Any, after: Any) -> float:
        """By what the parameter's learning rate is multiplied from now on, so that the function learns as fast."""
