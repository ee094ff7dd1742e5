"""Budgets are matched to 1 %, growth is yoked, schedules follow the steps, and what cannot be is named."""

import json
from pathlib import Path

import pytest

from tests.experiments.conftest import grid_content
from tokenformer.errors import UserError
from tokenformer.experiments.grid import Grid
from tokenformer.experiments.matching import Matching, NotKnownYet

SIZES = {f"model.model_config.{key}": 16 for key in ("qkv_tokens", "output_tokens", "feed_forward_tokens")}


def matching_of(path, growth_steps=lambda arm, seed: None, tuned=lambda arm: None) -> Matching:
    return Matching(Grid.read(path), Path(), growth_steps, tuned)


def values_of(settings: list[str]) -> dict:
    return {key: json.loads(value) for key, value in (setting.split("=", 1) for setting in settings)}


def arms(**more) -> dict:
    """The arms of the grid, long enough to be matched finely, and more."""
    return grid_content()["arms"] | more


def test_steps_are_solved_for_equal_flops(tiny_grid):
    settings = grid_content()["settings"] | {"tokens.train_steps": 160}
    matching = matching_of(tiny_grid(settings=settings))
    grown, large = (matching.budget(arm, 1) for arm in ("grown", "large"))
    assert large.flops == pytest.approx(grown.flops, rel=0.01)
    assert large.steps < grown.steps == 160
    matching.check_match("large", 1)
    values = values_of(matching.settings("large", 2))
    assert (values["general.seed"], values["data_stages.0.data.seed"]) == (2, 2)
    assert values["tokens.train_steps"] == large.steps
    starts = values["optimizer.learning_rate_scheduler.lr_decay_starting_step"]
    assert starts + values["optimizer.learning_rate_scheduler.lr_decay_steps"] == large.steps
    assert values["curriculum.ordering"] == {"name": "warm_up", "share": 0.75, "ordering": {"name": "easy_to_hard"}}


def test_size_is_solved_for_equal_flops_at_equal_words(tiny_grid):
    average = {"settings": {**SIZES, "growth": None}, "match": {"words": "grown", "flops": "grown"}}
    settings = grid_content()["settings"] | {"tokens.train_steps": 160}
    matching = matching_of(tiny_grid(arms=arms(average=average), settings=settings))
    grown, found = matching.budget("grown", 1), matching.budget("average", 1)
    assert (found.steps, found.words) == (grown.steps, grown.words)
    assert found.flops == pytest.approx(grown.flops, rel=0.01)
    values = values_of(matching.settings("average", 1))
    assert len({values[key] for key in SIZES}) == 1 and values["model.model_config.qkv_tokens"] > 16


def test_yoked_growth_takes_the_steps_of_the_same_seed(tiny_grid):
    yoked = {"settings": {"curriculum.ordering": {"name": "random"}}, "growth": {"steps_of": "grown"}}
    yoked["match"] = {"words": "grown"}
    matching = matching_of(tiny_grid(arms=arms(yoked=yoked)))
    for seed in (1, 2):
        steps = values_of(matching.settings("yoked", seed))["growth.trigger"]["steps"]
        run = matching._run(matching.settings("grown", seed))
        assert steps == [stage.step for stage in run.stages()[1:]]
        assert matching.budget("yoked", seed).flops == matching.budget("grown", seed).flops


def test_what_losses_decide_waits_for_the_run(tiny_grid):
    plateau = {"name": "plateau", "improvement_per_petaflop": 0.1, "loss": "training", "average_steps": 2}
    plateau = {"settings": {"growth.trigger": plateau}}
    yoked = {"growth": {"steps_of": "plateau"}}
    path = tiny_grid(arms=arms(plateau=plateau, yoked=yoked))
    with pytest.raises(NotKnownYet, match="plateau/1"):
        matching_of(path).settings("yoked", 1)
    found = matching_of(path, growth_steps=lambda arm, seed: [9]).settings("yoked", 1)
    assert values_of(found)["growth.trigger"] == {"name": "schedule", "steps": [9]}


def test_tuned_values_wait_for_the_trials(tiny_grid):
    key = "optimizer.learning_rate_scheduler.learning_rate"
    path = tiny_grid(tuning={"key": key, "values": [0.001, 0.002]})
    with pytest.raises(NotKnownYet, match="the trials of grown"):
        matching_of(path).settings("grown", 1)
    assert values_of(matching_of(path).settings("grown", 1000, 0.001))[key] == 0.001
    assert values_of(matching_of(path, tuned=lambda arm: 0.002).settings("grown", 1))[key] == 0.002


def test_a_budget_that_cannot_be_met_is_named(tiny_grid):
    with pytest.raises(UserError, match="large, seed 1, has .* allow more steps"):
        settings = grid_content()["settings"] | {"tokens.train_steps": 6}
        matching_of(tiny_grid(settings=settings)).check_match("large", 1)
