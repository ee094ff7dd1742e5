"""What a user registers from outside of the package works like what is inside, and a plug-in that fails is named."""

import subprocess
import sys

import numpy as np
import pytest

from tests.support.places import REPOSITORY
from tests.support.training.launching import clean_environment
from tokenformer.complexity import MEASURES, score
from tokenformer.config.plugins import load_plugins
from tokenformer.curriculum import ORDERINGS
from tokenformer.errors import UserError
from tokenformer.run_config import load_run_config
from tokenformer.trainer.run.prepared_run import PreparedRun

EXAMPLE = REPOSITORY / "examples" / "plugin"
PLUGIN = "plugins=[tokenformer_spiral]"
ORDERING = "curriculum.ordering={name: spiral, turns: 3}"


@pytest.fixture(autouse=True)
def example(monkeypatch):
    """The example can be imported, and is forgotten afterwards."""
    monkeypatch.syspath_prepend(str(EXAMPLE))
    yield
    ORDERINGS.pop("spiral", None)
    MEASURES.pop("commas", None)
    for name in [name for name in sys.modules if name.startswith("tokenformer_spiral")]:
        del sys.modules[name]


def test_a_run_is_built_with_an_ordering_from_outside(tiny_config):
    run = PreparedRun.from_file(tiny_config, [PLUGIN, ORDERING])
    usual = PreparedRun.from_file(tiny_config, [])
    assert run.config.plugins == ["tokenformer_spiral"]
    assert sorted(run.plan.order) == sorted(usual.plan.order)
    assert run.plan.fingerprint != usual.plan.fingerprint


def test_keys_of_a_plugin_are_checked_like_others(tiny_config):
    with pytest.raises(UserError, match=r"curriculum\.ordering\.turns is 0; it must be 1 or more and at most 1,000"):
        load_run_config(tiny_config, [PLUGIN, "curriculum.ordering={name: spiral, turns: 0}"])
    with pytest.raises(UserError, match=r"curriculum\.ordering\.turn is not known; did you mean turns\?"):
        load_run_config(tiny_config, [PLUGIN, "curriculum.ordering={name: spiral, turn: 2}"])


def test_without_the_plugin_its_ordering_is_not_known(tiny_config):
    with pytest.raises(UserError, match=r"curriculum\.ordering\.name is 'spiral'; choose one of random"):
        load_run_config(tiny_config, [ORDERING])


def test_texts_are_scored_by_a_measure_from_outside():
    load_plugins(["tokenformer_spiral"], "a test")
    np.testing.assert_allclose(score(["Come, sit, eat.", "Come."], measure="commas"), [2 / 3, 0])


def test_a_plugin_that_is_missing_or_broken_is_named(tiny_config, tmp_path, monkeypatch):
    (tmp_path / "broken_plugin.py").write_text("1 / 0\n")
    (tmp_path / "greedy_plugin.py").write_text(
        "from tokenformer.curriculum import ORDERINGS\nfrom tokenformer_spiral.spiral import Spiral\n"
        "ORDERINGS.enter(type('Mine', (Spiral,), {'name': 'paced'}))\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    for module, reason in (
        ("no_such_plugin", "cannot be imported: ModuleNotFoundError"),
        ("broken_plugin", "cannot be imported: ZeroDivisionError"),
        ("greedy_plugin", "the ordering 'paced' is there already"),
    ):
        with pytest.raises(UserError) as caught:
            load_run_config(tiny_config, [f"plugins=[{module}]"])
        assert str(caught.value).startswith(f"{tiny_config}: plugins: {module}") and reason in str(caught.value)


@pytest.mark.parametrize(("target", "expected"), [("tokenformer_spiral", "0.5"), ("no_such_module", "of spiral-dist")])
def test_an_installed_plugin_announces_itself(tmp_path, target, expected):
    """An entry point of the group `tokenformer` is imported when a name is met that is not known."""
    metadata = tmp_path / "spiral_dist-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: spiral-dist\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(f"[tokenformer]\nspiral = {target}\n")
    program = (
        "from tokenformer.complexity import score\n"
        "try: print(score(['Come, sit.'], measure='commas')[0])\n"
        "except Exception as error: print(type(error).__name__, error)"
    )
    path = f"{tmp_path}:{EXAMPLE}:{REPOSITORY}"
    done = subprocess.run(
        [sys.executable, "-c", program], env=clean_environment() | {"PYTHONPATH": path}, capture_output=True, text=True
    )
    assert expected in done.stdout and done.returncode == 0, done.stderr
