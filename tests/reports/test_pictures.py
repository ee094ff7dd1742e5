import math
import sys
from io import BytesIO

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenformer.errors import MissingExtraError
from tokenformer.reports.pictures import DARK, LIGHT, loss_picture, smoothed, spread
from tokenformer.run_folder.record import RunRecord

pytest.importorskip("matplotlib", reason="the pictures need the extra [report]")


def pixels(png: bytes) -> np.ndarray:
    import matplotlib.image

    return matplotlib.image.imread(BytesIO(png), format="png")


def shows(png: bytes, color: str) -> bool:
    """Whether the colour (#rrggbb) is in the picture, as lines are."""
    wanted = np.array([int(color[start : start + 2], 16) for start in (1, 3, 5)]) / 255
    return bool((np.abs(pixels(png)[..., :3] - wanted).max(axis=-1) < 0.01).sum() > 100)


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
def test_the_picture_shows_all_lines(run_folder, theme):
    png = loss_picture(RunRecord.open(run_folder), theme)
    assert pixels(png).shape[:2] == (1280, 2000)
    for color in (theme.background, theme.held_out, theme.training, theme.baseline, theme.complexity, theme.size):
        assert shows(png, color), color


def test_a_run_that_only_trained(write_run, metrics):
    lines = [{key: value for key, value in line.items() if not key.startswith(("val/", "curr"))} for line in metrics]
    png = loss_picture(RunRecord.open(write_run([line for line in lines if "growth/event" not in line])))
    assert shows(png, LIGHT.training)
    assert not shows(png, LIGHT.held_out)
    assert not shows(png, LIGHT.complexity)


def test_one_step_is_a_dot(write_run, metrics):
    png = loss_picture(RunRecord.open(write_run([metrics[1]], {"unigram": 6.0})))
    assert shows(png, LIGHT.training)
    assert shows(png, LIGHT.complexity)


@pytest.mark.parametrize("loss", [math.nan, math.inf, None])
def test_a_diverged_run_is_drawn_as_far_as_it_goes(write_run, metrics, loss):
    for line in metrics[400:]:
        line |= {key: loss for key in ("lm_loss", "val/loss") if key in line}
    assert shows(loss_picture(RunRecord.open(write_run(metrics, {"trigram": 3.0}))), LIGHT.training)


def test_a_run_whose_training_loss_is_not_known(write_run, metrics):
    lines = [{key: value for key, value in line.items() if key != "lm_loss"} for line in metrics]
    png = loss_picture(RunRecord.open(write_run(lines)))
    assert shows(png, LIGHT.held_out)
    assert not shows(png, LIGHT.training)


def test_a_run_of_nothing_but_nan(write_run):
    folder = write_run([{"iteration_step": 1, "lm_loss": math.nan}])
    assert pixels(loss_picture(RunRecord.open(folder))).shape[:2] == (1280, 2000)


def test_a_name_is_not_taken_for_a_formula(tmp_path, run_folder):
    renamed = run_folder.rename(tmp_path / r"run $\frac$")
    assert shows(loss_picture(RunRecord.open(renamed)), LIGHT.held_out)


def test_without_matplotlib_the_extra_is_named(run_folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingExtraError, match=r"tokenformer\[report\]"):
        loss_picture(RunRecord.open(run_folder))


@given(st.lists(st.floats(-100, 100) | st.just(math.nan), max_size=200))
def test_smoothing_is_the_mean_of_what_is_finite(values):
    values = np.array(values, dtype=np.float64)
    window = max(1, len(values) // 40)
    for end, mean in enumerate(smoothed(values), start=1):
        recent = values[max(0, end - window) : end]
        finite = recent[~np.isnan(recent)]
        assert mean == pytest.approx(finite.mean(), abs=1e-9) if finite.size else math.isnan(mean)


@given(st.lists(st.floats(-1, 2), max_size=8).map(sorted), st.floats(0.01, 0.3))
def test_labels_are_moved_apart_as_little_as_it_takes(positions, gap):
    placed = spread(np.array(positions), gap)
    assert np.all(np.diff(placed) >= gap - 1e-9)
    assert np.sum(placed) == pytest.approx(sum(positions), abs=1e-9)
    if len(positions) > 1 and np.all(np.diff(positions) >= gap):
        np.testing.assert_allclose(placed, positions, atol=1e-12)
