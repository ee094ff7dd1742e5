"""`extends` lays one file over another, by one rule."""

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tests.support.cases import refused
from tokenformer.config.loading import laid_over, read_extended
from tokenformer.errors import UserError
from tokenformer.run_config import load_run_config, resolved_yaml

NAMES = st.sampled_from(["a", "b", "c", "name", "is_llama_config"])
SECTIONS = st.recursive(
    st.integers(0, 3) | st.lists(st.integers(0, 3), max_size=2),
    lambda inner: st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=8,
).filter(lambda value: isinstance(value, dict))


@pytest.fixture
def written(tmp_path):
    def write(name: str, **content):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(yaml.safe_dump(content), encoding="utf-8")
        return path

    return write


def test_sections_are_merged_and_what_names_itself_is_replaced_whole(written):
    written(
        "base.yaml",
        general={"run": "base", "seed": 1},
        model={"model_config": {"is_tokenformer_config": True, "qkv_tokens": 8}, "dtype": "float32"},
        curriculum={"ordering": {"name": "paced", "start": 0.5}, "smoothing": 0.9},
        stages=[1, 2],
    )
    path = written(
        "new.yaml",
        extends="base.yaml",
        general={"run": "new"},
        model={"model_config": {"is_llama_config": True}},
        curriculum={"ordering": {"name": "random"}},
        stages=[3],
    )
    assert read_extended(path) == {
        "general": {"run": "new", "seed": 1},
        "model": {"model_config": {"is_llama_config": True}, "dtype": "float32"},
        "curriculum": {"ordering": {"name": "random"}, "smoothing": 0.9},
        "stages": [3],
    }


@given(base=SECTIONS, changes=SECTIONS)
def test_every_change_is_in_the_result_and_nothing_is_twice(base, changes):
    result = laid_over(base, changes)
    assert laid_over(result, changes) == result
    assert laid_over(base, {}) == base and laid_over({}, changes) == changes
    assert result.keys() == base.keys() | changes.keys()
    for key, value in changes.items():
        if not isinstance(value, dict):
            assert result[key] == value


def test_paths_are_relative_to_the_file_and_form_chains(written, tmp_path, monkeypatch):
    written("a.yaml", general={"run": "a", "seed": 1, "project": "p"})
    written("inner/b.yaml", extends="../a.yaml", general={"seed": 2})
    path = written("inner/c.yaml", extends="b.yaml", general={"run": "c"})
    monkeypatch.chdir(tmp_path.parent)
    assert read_extended(path) == {"general": {"run": "c", "seed": 2, "project": "p"}}


def test_a_circle_is_refused(written):
    written("a.yaml", extends="b.yaml")
    path = written("b.yaml", extends="a.yaml")
    with pytest.raises(UserError, match=r"extends goes in a circle: .*b\.yaml -> .*a\.yaml -> .*b\.yaml"):
        read_extended(path)


@refused(("none.yaml", "none.yaml cannot be read"), (["a"], "must be the path"))
def test_a_wrong_base_is_named(written, base):
    read_extended(written("a.yaml", extends=base))


def test_the_resolved_yaml_stands_for_itself(repository, tmp_path):
    path = tmp_path / "resolved.yaml"
    path.write_text(resolved_yaml(repository / "configs" / "llama.yaml", ["general.seed=7"]), encoding="utf-8")
    assert "extends" not in yaml.safe_load(path.read_text())
    assert load_run_config(path) == load_run_config(repository / "configs" / "llama.yaml", ["general.seed=7"])
