"""The answer of a whole grid from made-up records: sentences, page and table, with an effect, without, unfinished."""

import re

import pytest

from tests.support.experiments.made_records import write_records
from tokenformer.errors import UserError
from tokenformer.experiments.analysis import analysed
from tokenformer.experiments.answer.page import write_answer
from tokenformer.experiments.answer.sentences import answer, contrast_sentence

GRID = """
question: does growing pay?
decision: it pays when H1 is rejected
base: base.yaml
seeds: [1, 2, 3, 4, 5, 6]
arms:
  GC: {title: grows}
  M0: {title: "average size | all along"}
  L0f: {tuned_as: M0}
  L0w: {tuned_as: M0, seeds: [1, 2, 3]}
tuning: {key: optimizer.learning_rate_scheduler.learning_rate, values: [0.002, 0.004, 0.008]}
contrasts:
- {name: H1, first: GC, second: M0, confirmatory: true, expected: lower}
- {name: H2, first: GC, second: L0f, confirmatory: true}
- {name: size, first: L0w, second: M0}
speed_up:
- {of: [GC], baseline: [L0f, L0w]}
"""


@pytest.fixture
def grid_path(tmp_path):
    (tmp_path / "base.yaml").write_text("general: {run: made}\n", encoding="utf-8")
    (tmp_path / "made.yaml").write_text(GRID, encoding="utf-8")
    return tmp_path / "made.yaml"


def test_an_effect_is_called_one_and_its_absence_too(grid_path, tmp_path):
    effects = {"GC": -0.05, "L0f": -0.05, "L0w": -0.09}
    found = analysed(write_records(grid_path, tmp_path, effects))
    assert re.match(r"GC is better than M0 by 0\.0\d+ nats a token \(difference -0.0", answer(found))
    h2 = contrast_sentence(found.contrasts[1], found)
    assert "GC and L0f are equal to within 0.02 nats" in h2
    assert found.contrasts[0].corrected_p == pytest.approx(2 * found.contrasts[0].difference.p)
    assert found.contrasts[2].corrected_p == found.contrasts[2].difference.p
    worse = analysed(write_records(grid_path, tmp_path / "worse", {"GC": 0.05}))
    assert answer(worse).startswith("GC is worse than M0 by 0.0")
    unclear = analysed(write_records(grid_path, tmp_path / "unclear", {"GC": 0.0035, "M0": 0.018}, seed=5))
    sentence = contrast_sentence(unclear.contrasts[2], unclear)
    assert "L0w" in sentence and "3 pairs" in sentence


def test_nothing_is_compared_before_all_its_seeds_are_done(grid_path, tmp_path):
    runs = write_records(grid_path, tmp_path, {"GC": -0.05}, leave_out=("GC/6", "GC/1000/0.002"))
    found = analysed(runs)
    assert [each.missing for each in found.contrasts] == [("GC/6",), ("GC/6",), ()]
    assert answer(found) == "GC and M0 are not compared yet: 1 runs are missing."
    assert any("not finished: GC/6" in text for text in found.deviations)
    assert any("not tuned" in reason for reason in found.speed_ups[0].refusals)
    with pytest.raises(UserError, match="no record of a final run"):
        analysed(write_records(grid_path, tmp_path / "none", {}, leave_out=tuple(run.label for run in runs.all)))


def test_the_page_needs_nothing_but_itself_and_shows_everything(grid_path, tmp_path):
    runs = write_records(grid_path, tmp_path, {"GC": -0.05, "L0f": 0.02, "L0w": -0.02})
    assert "GC is better than M0" in write_answer(runs)
    page = (runs.places.results / "page.html").read_text(encoding="utf-8")
    table = (runs.places.results / "table.md").read_text(encoding="utf-8")
    assert re.findall(r"(?:src|href|srcset)=\"(?!data:)", page) == []
    assert page.count("<picture>") == 5  # forest plot, three curves, difficulty
    for text in (
        "does growing pay?",
        "GC is better than M0",
        "Cost at equal loss",
        "Deviations",
        "Limits",
        "--set general",
    ):
        assert text in page
    assert "average size \\| all along" in table
    assert "0.004" in table and "* |" in table
    assert "| pairs |" in table and "- agreement" in table
    assert runs.grid.hash[:12] in page and runs.grid.hash[:12] in table


def test_a_record_of_another_grid_is_refused(grid_path, tmp_path):
    write_records(grid_path, tmp_path, {})
    grid_path.write_text(GRID.replace("0.008", "0.016"), encoding="utf-8")
    with pytest.raises(UserError, match="another grid"):
        analysed(write_records(grid_path, tmp_path, {}, leave_out=("GC/1",)))
