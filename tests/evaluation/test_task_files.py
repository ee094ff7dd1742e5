"""The shipped tasks, and what can be wrong with one."""

import gzip
import json
import sys

import pytest

from tests.support.cases import refused
from tokenformer.errors import UserError
from tokenformer.evaluation.pair_generators import PAIR_GENERATORS
from tokenformer.evaluation.task_data import DATA_VARIABLE, data_folder, load_task
from tokenformer.evaluation.task_files import FOLDER, Task, find_tasks, read_task_file, task_names

ITEMS = {
    "blimp": 67000,
    "blimp_filtered": 59875,
    "blimp_supplement": 842 + 64 + 165 + 3867 + 280,
    "entity_tracking": 3152 + 3107 + 3224,
    "dalaj": 2055,
    "dalaj_dev": 2195,
    "scala_style_sv": 990 + 994,
    "determiner_gender_sv": 846,
}


@pytest.mark.parametrize("name", task_names())
def test_a_shipped_file_says_what_it_is_called(name):
    read = read_task_file(FOLDER / f"{name}.yaml")
    assert (read.task if isinstance(read, Task) else read.group) == name
    assert len(read.description) > 20


def test_blimp_has_its_paradigms_and_groups():
    (blimp,) = find_tasks(["blimp"])
    assert (len(blimp.parts), len(blimp.groups)) == (67, 13)


@pytest.mark.parametrize(("name", "count"), ITEMS.items())
def test_every_item_is_found_with_the_wrong_text_first(shared_data, name, count):
    (task,) = find_tasks([name])
    loaded = load_task(task, shared_data / "eval", fast=False)
    assert sum(map(len, loaded.items.values())) == count
    part, items = next(iter(loaded.items.items()))
    with gzip.open(loaded.origins[part], "rt", encoding="utf-8") as lines:
        record = json.loads(next(lines))
    if task.pairs:
        assert items[0].choices == (record["sentence_bad"], record["sentence_good"])
    else:
        assert (items[0].context, items[0].choices[-1]) == (record["input_prefix"], record["options"][0])


MADE = [("formal_languages", 1200), pytest.param("code_grammar", 600, marks=pytest.mark.slow)]


@pytest.mark.parametrize(("name", "count"), MADE)
def test_made_items_are_always_the_same(name, count):
    (task,) = find_tasks([name])
    loaded, again = (load_task(task, None, fast=False) for _ in range(2))
    assert loaded == again
    items = [item for part in loaded.items.values() for item in part]
    assert len(items) == count and all(len(set(item.choices)) == 2 for item in items)


def test_groups_and_names_that_are_left_out():
    names = [task.task for task in find_tasks(["zeroshot_swe", "dalaj", "-multiblimp_swe"])]
    assert names == ["dalaj", "scala_style_sv", "determiner_gender_sv"]
    with pytest.raises(UserError, match="no tasks are left"):
        find_tasks(["dalaj", "-dalaj"])
    with pytest.raises(UserError, match="no task 'blmp'.*blimp_filtered"):
        find_tasks(["blmp"])


TASK = {"task": "t", "description": "d", "version": 1, "data": {"file": "t.jsonl"}, "pairs": {"good": "g", "bad": "b"}}


def write(folder, **changes):
    path = folder / "t.yaml"
    path.write_text(json.dumps({key: value for key, value in {**TASK, **changes}.items() if value is not None}))
    return path


@refused(
    ({"pairs": None}, "either pairs or options"),
    ({"options": {"context": "c", "options": "o"}}, "either pairs or options"),
    ({"data": {"split": "test"}}, "no file, no hub and no generator"),
    ({"data": {"fle": "x"}}, "data.fle is not known; did you mean file"),
    ({"subtasks": ["a", "a"]}, "stands twice"),
    ({"data": {"file": "{part}.jsonl"}}, "subtask"),
    ({"version": None}, "version is missing"),
)
def test_a_file_that_cannot_be_meant_is_refused(tmp_path, changes):
    read_task_file(write(tmp_path, **changes))


def test_data_that_is_not_there_is_named(tmp_path, monkeypatch):
    monkeypatch.delenv(DATA_VARIABLE, raising=False)
    task = read_task_file(write(tmp_path))
    with pytest.raises(UserError, match=rf"t.jsonl below a data folder.*{DATA_VARIABLE}"):
        load_task(task, data_folder(None), fast=False)
    with pytest.raises(UserError, match=r"t\.jsonl, which is not there"):
        load_task(task, tmp_path, fast=False)
    with pytest.raises(UserError, match="is no folder"):
        data_folder(tmp_path / "nowhere")
    (tmp_path / "t.jsonl").write_text('{"g": "good"}\n')
    with pytest.raises(UserError, match="record 0 lacks 'b'"):
        load_task(task, tmp_path, fast=False)
    (tmp_path / "t.jsonl").write_text('{"g": "good", "b"')
    with pytest.raises(UserError, match="no JSON lines"):
        load_task(task, tmp_path, fast=False)
    monkeypatch.setenv(DATA_VARIABLE, str(tmp_path))
    assert data_folder(None) == tmp_path


def test_items_of_a_generator(tmp_path, monkeypatch):
    def squares(base: str, subtask: str):
        return [{"g": base * 2 + subtask, "b": base + subtask}]

    task = read_task_file(
        write(tmp_path, data={"generator": "squares", "parameters": {"base": "x"}}, subtasks=["one", "two"])
    )
    with pytest.raises(UserError, match="no generator 'squares'"):
        load_task(task, None, fast=False)
    monkeypatch.setitem(PAIR_GENERATORS, "squares", squares)
    loaded = load_task(task, None, fast=True)
    assert [item.choices for part in loaded.items.values() for item in part] == [("xone", "xxone"), ("xtwo", "xxtwo")]
    task.data.parameters["height"] = 1
    with pytest.raises(UserError, match="do not fit the generator"):
        load_task(task, None, fast=False)


def test_items_of_the_hub(tmp_path, monkeypatch):
    datasets = pytest.importorskip("datasets", reason="the Hub is read by datasets, in the extra [eval]")
    (tmp_path / "hub").mkdir()
    (tmp_path / "hub" / "train.jsonl").write_text('{"g": "good", "b": "bad"}\n')
    asked = []

    def offline(*arguments, **settings):
        asked.append((*arguments, settings))
        raise ConnectionError("no network")

    task = read_task_file(write(tmp_path, data={"file": "t.jsonl", "hub": str(tmp_path / "hub")}))
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    loaded = load_task(task, None, fast=False)
    assert loaded.items["t"][0].choices == ("bad", "good") and loaded.origins["t"] == str(tmp_path / "hub")
    monkeypatch.setattr(datasets, "load_dataset", offline)
    with pytest.raises(UserError, match="no network.*'-t' among the tasks, or put its data below .* as t.jsonl"):
        load_task(task, None, fast=False)
    (tmp_path / "t.jsonl").write_text('{"g": "local", "b": "bad"}\n')
    assert load_task(task, tmp_path, fast=False).items["t"][0].choices[1] == "local"
    assert len(asked) == 1, "what is local is not asked of the Hub"


def test_local_data_needs_no_datasets(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    task = read_task_file(write(tmp_path, data={"hub": "someone/something"}))
    with pytest.raises(UserError, match=r"pip install tokenformer\[eval\]"):
        load_task(task, None, fast=False)
