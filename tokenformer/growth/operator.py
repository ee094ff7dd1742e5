"""The protocol of growth operators: the config of the grown model, and a plan for each of its parameters.

Operators are pure functions of configs and of whole tensors: never of shards. Whoever applies one to a sharded model
gathers what a grown parameter comes from, and cuts the result. So every layout grows into the same model.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from tokenformer.config.building import Checked
from tokenformer.errors import UserError
from tokenformer.growth.parameter_name import ParameterName
from tokenformer.randomness import named_generator

if TYPE_CHECKING:
    import torch


def as_it_is(*old: "torch.Tensor", **_: Any) -> "torch.Tensor":
    """The tensor of the first source, unchanged."""
    return old[0]


def zero(*old: "torch.Tensor", **_: Any) -> "torch.Tensor":
    """Zeros of the shape of the first source."""
    return old[0].new_zeros(old[0].shape)


@dataclass(frozen=True)
class ParameterGrowth:
    """How one parameter of the grown model comes about. By default it is its source, unchanged.

    Args:
        sources: names of the old model's parameters that it is made of.
        weight: called as `weight(*old, generator=generator)` with the whole tensors of the sources, which it does not
            change; gives the whole grown tensor, in their dtype. Called for the fp32 copy of 16-bit weights too. The
            generator is seeded by the run's seed, the number of the event and the parameter's name.
        moment: called as `moment(*old, power=power)` with Adam's moments of the sources; gives the whole moment of the
            grown parameter. The power is 1 for the mean of gradients, 2 for the mean of their squares.
        new: which elements are new: all, none, or a function that gives a bool tensor of the grown parameter's shape or
            one that broadcasts to it, such as [n, 1].
        learning_rate_factor: by what the learning rate is multiplied from now on, so that the function learns as fast.
    """

    sources: tuple[str, ...]
    weight: Callable[..., "torch.Tensor"] = as_it_is
    moment: Callable[..., "torch.Tensor"] = as_it_is
    new: bool | Callable[[], "torch.Tensor"] = False
    learning_rate_factor: float = 1.0

    def new_elements(self) -> "torch.Tensor":
        """`new` as a bool tensor that broadcasts to the shape of the grown parameter."""
        import torch  # here, so that a config can be checked without it

        return torch.tensor(self.new) if isinstance(self.new, bool) else self.new()


GrowthPlan = Callable[[ParameterName], ParameterGrowth]


@dataclass(frozen=True)
class GrowthOperator(Checked, ABC):
    """One way to make a larger model out of a smaller one; a subclass is a frozen dataclass of its settings.

    Attributes:
        name: its key in `OPERATORS`.
        model_types: the models that it can grow.
    """

    model_types: ClassVar[tuple[str, ...]] = ("tokenformer", "llama")

    @abstractmethod
    def grown_config(self, config: Any) -> Any:
        """The config of the grown model; the old one is not changed.

        Raises:
            UserError: the operator cannot grow such a model.
        """

    @abstractmethod
    def plan(self, before: Any, after: Any) -> GrowthPlan:
        """How each parameter of the grown model comes about.

        Args:
            before: the config of the old model.
            after: the config of the grown model.
        """

    def is_exact(self, config: Any) -> bool:
        """Tells whether a model of this config computes the same function after growth, to rounding."""
        return False

    def check_dtype(self, dtype: str) -> None:
        """Refuses a dtype, such as "bfloat16", in which rounding would lose the function; any will do by default.

        Raises:
            UserError: such a model cannot be grown.
        """


@dataclass(frozen=True)
class GrowthContext:
    """The identity of a growth event; all that is drawn depends on it and on the parameter's name alone.

    Args:
        seed: the run's seed.
        event: number of this growth event, from 1.
    """

    seed: int
    event: int


@dataclass(frozen=True)
class Transition:
    """One growth event as a step from model to model: an operator with the configs before and after it."""

    operator: GrowthOperator
    before: Any
    after: Any

    @classmethod
    def by(cls, operator: GrowthOperator, config: Any) -> "Transition":
        """The step that an operator makes from a model of this config.

        Raises:
            UserError: the operator cannot grow such a model, or would leave it as it is.
        """
        after = operator.grown_config(config)
        if after == config:
            raise UserError(f"{operator.name} would leave the model as it is: its settings add nothing; grow by more")
        return cls(operator, config, after)

    @cached_property
    def _plan(self) -> GrowthPlan:
        return self.operator.plan(self.before, self.after)

    def growth_of(self, name: str) -> ParameterGrowth:
        """How the parameter of this name comes about."""
        return self._plan(ParameterName.parse(name))

    def weight(self, name: str, old: Sequence["torch.Tensor"], context: GrowthContext) -> "torch.Tensor":
        """The whole grown tensor of a parameter, from the whole tensors of its sources."""
        generator = named_generator(context.seed, self.operator.name, context.event, name)
        return self.growth_of(name).weight(*old, generator=generator)


def learning_rate_factor(name: str, transitions: Sequence[Transition]) -> float:
    """Product of the factors by which the growth events so far multiplied a parameter's learning rate.

    A parameter that is made of others inherits the factor of the first of them.

    Args:
        name: of a parameter of the model after the last transition.
        transitions: oldest first.
    """
    if not transitions:
        return 1.0
    growth = transitions[-1].growth_of(name)
    inherited = learning_rate_factor(growth.sources[0], transitions[:-1]) if growth.sources else 1.0
    return growth.learning_rate_factor * inherited
