"""What a growth event makes of a parameter's weight, fp32 copy, moments and count."""

from dataclasses import dataclass

import pytest
import torch

from tests.support.model_sizes import tokenformer_sizes
from tokenformer.growth.append_tokens import AppendTokens
from tokenformer.growth.operator import (
    GrowthContext,
    GrowthOperator,
    ParameterGrowth,
    Transition,
    learning_rate_factor,
)
from tokenformer.growth.parameter_state import NEW_MOMENTS, ParameterState, grown_state
from tokenformer.model.config import TokenformerConfig

KEYS, OTHER = "model.decoder.0.pp_block.feed_forward.pattention.key_tokens", "model.final_norm.pp_block.weight"
CONTEXT = GrowthContext(seed=3, event=1)
OLD = 16


@pytest.fixture
def transition():
    config = TokenformerConfig(**tokenformer_sizes(6, 1, 1, tokens=(8, 8, OLD), vocabulary=16, positions=8))
    operator = AppendTokens(factor=1.5)
    return Transition(operator, config, operator.grown_config(config))


def state(*shape: int, master: bool = False, moments: bool = True) -> ParameterState:
    generator = torch.Generator().manual_seed(1)
    copy = torch.randn(shape, generator=generator)
    return ParameterState(
        weight=copy.to(torch.bfloat16) if master else copy,
        master=copy if master else None,
        moments={"exp_avg": torch.randn(shape, generator=generator), "exp_avg_sq": copy.square()} if moments else {},
        step=torch.tensor(41.0) if moments else None,
    )


def grown(transition, old: ParameterState, new_moments: str = "keep", name: str = KEYS) -> ParameterState:
    return grown_state(name, {name: old}, transition, CONTEXT, new_moments)


@pytest.mark.parametrize("new_moments", NEW_MOMENTS)
def test_old_elements_and_the_count_stay(transition, new_moments):
    old = state(OLD, 6)
    new = grown(transition, old, new_moments)
    assert new.step == 41.0
    assert new.weight.shape == new.moments["exp_avg"].shape == new.moments["exp_avg_sq"].shape == (24, 6)
    assert torch.equal(new.weight[:OLD], old.weight)
    assert all(torch.equal(new.moments[key][:OLD], old.moments[key]) for key in old.moments)


def test_keep_is_the_law_and_zero_is_zero(transition):
    for new_moments in ("keep", "zero"):  # the law of append_tokens says zero too
        new = grown(transition, state(OLD, 6), new_moments)
        assert not any(moment[OLD:].any() for moment in new.moments.values())


def test_mean_is_that_of_each_column_where_rows_are_new(transition):
    old = state(OLD, 6)
    new = grown(transition, old, "mean")
    assert not new.moments["exp_avg"][OLD:].any()
    expected = old.moments["exp_avg_sq"].mean(dim=0).expand(8, 6)
    torch.testing.assert_close(new.moments["exp_avg_sq"][OLD:], expected)


@dataclass(frozen=True)
class Copied(GrowthOperator):
    """A law for these tests: two copies side by side, the second of which is new."""

    whole: bool = False
    name = "copied"

    def grown_config(self, config):
        raise NotImplementedError

    def plan(self, before, after):
        def growth_of(name):
            return ParameterGrowth(
                self.sources(name.full),
                weight=lambda old, generator: torch.cat([old, old], dim=1),
                moment=lambda old, power: torch.cat([old, old], dim=1) / 2**power,
                new=self.whole or (lambda: torch.arange(12) >= 6),
                learning_rate_factor=self.factor(name.full),
            )

        return growth_of

    def sources(self, name):
        return (name,)

    def factor(self, name):
        return 0.5


def test_mean_is_that_of_all_old_elements_where_new_ones_are_no_rows():
    old = state(OLD, 6)
    new = grown(Transition(Copied(), None, None), old, "mean")
    assert torch.equal(new.moments["exp_avg_sq"][:, :6], old.moments["exp_avg_sq"] / 4)
    assert torch.equal(new.moments["exp_avg"][:, :6], old.moments["exp_avg"] / 2)
    assert new.moments["exp_avg_sq"][:, 6:].unique().item() == pytest.approx(old.moments["exp_avg_sq"].mean() / 4)
    assert not new.moments["exp_avg"][:, 6:].any()


def test_zero_forgets_what_the_law_keeps():
    old, transition = state(OLD, 6), Transition(Copied(), None, None)
    kept, forgotten = grown(transition, old), grown(transition, old, "zero")
    for key in old.moments:
        assert kept.moments[key][:, 6:].all() and not forgotten.moments[key][:, 6:].any()


@pytest.mark.parametrize("new_moments", ["zero", "mean"])
def test_where_everything_is_new_nothing_old_is_left(new_moments):
    new = grown(Transition(Copied(whole=True), None, None), state(OLD, 6), new_moments)
    assert not any(moment.any() for moment in new.moments.values())


def test_a_16_bit_weight_is_its_rounded_copy(transition):
    old = state(OLD, 6, master=True)
    new = grown(transition, old)
    assert new.master.dtype == torch.float32 and new.weight.dtype == torch.bfloat16
    assert torch.equal(new.master[:OLD], old.master) and torch.equal(new.weight, new.master.to(torch.bfloat16))


def test_before_the_first_step_there_is_nothing_to_grow_but_the_weight(transition):
    new = grown(transition, state(OLD, 6, moments=False))
    assert new.moments == {} and new.step is None and new.weight.shape == (24, 6)


@pytest.mark.parametrize("new_moments", NEW_MOMENTS)
def test_a_parameter_without_a_new_part_stays(transition, new_moments):
    old = state(6)
    new = grown(transition, old, new_moments, OTHER)
    assert torch.equal(new.weight, old.weight)
    assert all(torch.equal(new.moments[key], old.moments[key]) for key in old.moments)


@dataclass(frozen=True)
class Renamed(Copied):
    """A head that comes from the embedding, whose rate is another."""

    def sources(self, name):
        return ("model.embedding",) if name == "model.head" else () if name == "model.fresh" else (name,)

    def factor(self, name):
        return {"model.head": 0.25, "model.embedding": 3.0}.get(name, 1.0)


def test_learning_rates_are_multiplied_along_the_way_that_a_parameter_came():
    parted, copied = Transition(Renamed(), None, None), Transition(Copied(), None, None)
    assert learning_rate_factor("model.head", []) == 1.0
    assert learning_rate_factor("model.head", [parted]) == 0.25
    assert learning_rate_factor("model.head", [copied, parted]) == 0.25 * 0.5
    assert learning_rate_factor("model.head", [parted, parted]) == 0.25 * 3.0
    assert learning_rate_factor("model.fresh", [copied, parted]) == 1.0
