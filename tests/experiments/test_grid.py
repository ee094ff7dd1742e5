"""A grid's file: mistakes are named before work starts, and any change of a value makes another experiment."""

import pytest
import yaml

from tests.experiments.conftest import grid_content
from tests.support.cases import refused
from tokenformer.errors import UserError
from tokenformer.experiments.grid import Grid
from tokenformer.experiments.runs import Places, RunList


def grown(**changes) -> dict:
    return {"arms": {"grown": changes, "large": {}}}


@refused(
    ({"qestion": "?"}, "did you mean question"),
    ({"seeds": []}, "needs arms and seeds"),
    ({"outcome": "accuracy"}, "choose one of mean_of_sources, loss"),
    ({"tail": 1.0}, "tail is 1.0"),
    ({"tail": 0.3, "settings": {}}, "which curriculum.ordering is before it"),
    ({"schedule": {"checks": 0}}, "schedule.checks is 0"),
    ({"arms": {"a/b": {}}, "contrasts": []}, "leave the slash out"),
    (grown(match={"tokens": "large"}), "choose flops or words"),
    (grown(match={"words": "huge"}), "the arms are grown, large"),
    (grown(growth={"after": "large"}), "knows steps_of alone"),
    (grown(tuned_as="grown"), "which has no trials"),
    ({"arms": {"grown": {"match": {"words": "large"}}, "large": {"match": {"flops": "grown"}}}}, "wait for each other"),
    ({"contrasts": [{"name": "H1", "first": "grown", "second": "none"}]}, "contrast H1 names the arm 'none'"),
    ({"tuning": {"key": "a.b", "values": []}}, "needs values and seeds"),
)
def test_mistakes_are_named(tiny_grid, changes):
    Grid.read(tiny_grid(**changes))


def test_values_change_the_hash_and_comments_do_not(tiny_grid):
    path = tiny_grid()
    first = Grid.read(path).hash
    path.write_text("# a remark\n" + path.read_text(encoding="utf-8"), encoding="utf-8")
    assert Grid.read(path).hash == first
    assert Grid.read(tiny_grid(seeds=[1, 2, 3])).hash != first
    base = tiny_grid().parent / "base.yaml"
    content = yaml.safe_load(base.read_text(encoding="utf-8"))
    content["general"]["seed"] = 8
    base.write_text(yaml.safe_dump(content), encoding="utf-8")
    assert Grid.read(path).hash != first


def test_runs_are_trials_first_and_then_seed_after_seed(tiny_grid, tmp_path):
    arms = grid_content()["arms"]
    arms["large"] |= {"seeds": [2], "tuned_as": "grown"}
    path = tiny_grid(arms=arms, tuning={"key": "optimizer.weight_decay", "values": [0.0, 0.1], "seeds": [9]})
    runs = RunList(Grid.read(path), Places(tmp_path / "results", tmp_path / "runs"))
    assert [run.label for run in runs.all] == ["grown/9/0.0", "grown/9/0.1", "grown/1", "grown/2", "large/2"]
    assert runs.find("grown/9/0.1").name == "tuning-grown-9-0.1"
    with pytest.raises(UserError, match="has no run 'grown/7'"):
        runs.find("grown/7")
