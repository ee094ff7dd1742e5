"""A growth operator of two methods: the one that docs/extending.md shows."""

import dataclasses

import pytest
import torch

from tests.support.growth.plain_models import (
    LlamaConfig,
    grown,
    grown_moment,
    growth_of,
    random_parameters,
    tokenformer_config,
)
from tests.support.places import REPOSITORY
from tokenformer.errors import UserError
from tokenformer.growth.operator import GrowthContext, GrowthOperator, ParameterGrowth, Transition
from tokenformer.growth.parameter_state import ParameterState, grown_state


@pytest.fixture(scope="module")
def operator() -> GrowthOperator:
    page = (REPOSITORY / "docs" / "extending.md").read_text(encoding="utf-8").partition("## A growth operator")[2]
    namespace = {"__name__": __name__}
    exec(page.partition("```python\n")[2].partition("```")[0], namespace)
    return namespace["RepeatLastLayer"]()


@pytest.mark.parametrize("config", [LlamaConfig(), tokenformer_config()], ids=["llama", "tokenformer"])
def test_the_example_of_the_docs_grows_a_model(operator, config):
    old = random_parameters(config)
    new, after = grown(operator, config, old)
    assert after.num_hidden_layers == config.num_hidden_layers + 1
    for name, tensor in new.items():
        source = name.replace(f".decoder.{config.num_hidden_layers}.", f".decoder.{config.num_hidden_layers - 1}.")
        assert torch.equal(tensor, old[source])
        assert torch.equal(grown_moment(operator, name, old, 2, config, after), old[source])
        growth = growth_of(operator, name, config, after)
        assert growth.new_elements().item() == (source != name) and growth.learning_rate_factor == 1
    assert not operator.is_exact(config)


def test_an_operator_that_changes_nothing_is_refused(operator):
    with pytest.raises(UserError, match="repeat_last_layer would leave the model as it is"):
        Transition.by(dataclasses.replace(operator, times=0), LlamaConfig())


def test_a_moment_of_another_shape_than_its_weight_is_refused():
    class Longer(GrowthOperator):
        name = "longer"

        def grown_config(self, config):
            return config

        def plan(self, before, after):
            return lambda name: ParameterGrowth((name.full,), weight=lambda old, generator: torch.cat([old, old]))

    old = ParameterState(
        torch.ones(2), None, {"exp_avg": torch.ones(2), "exp_avg_sq": torch.ones(2)}, torch.tensor(1.0)
    )
    with pytest.raises(
        ValueError, match=r"longer makes model.weight of shape \(4,\) and its moment exp_avg of shape \(2,\)"
    ):
        grown_state(
            "model.weight", {"model.weight": old}, Transition(Longer(), None, None), GrowthContext(1, 1), "keep"
        )
