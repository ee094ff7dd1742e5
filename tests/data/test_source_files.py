"""Which files are read, in which order, and what they are called."""

import pytest

from tests.support.cases import cases
from tokenformer.data.reading_report import ReadingReport
from tokenformer.data.source_files import InputSource, list_source_files
from tokenformer.errors import UserError


def make(folder, *names):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("text")


def listed(*paths):
    report = ReadingReport()
    files = list_source_files([InputSource(path) for path in paths], report)
    return [file.source for file in files], report


@cases(
    ("corpus", "corpus", 1.0),
    ("corpus=2", "corpus", 2.0),
    ("corpus=0.25", "corpus", 0.25),
    ("corpus=1e-3", "corpus", 0.001),
    ("year=2024=3", "year=2024", 3.0),
)
def test_parse(tmp_path, monkeypatch, text, path, weight):
    monkeypatch.chdir(tmp_path)
    source = InputSource.parse(text)
    assert (str(source.path), source.weight) == (path, weight)


def test_parse_takes_a_path_that_exists_whole(tmp_path):
    (tmp_path / "year=2024").mkdir()
    source = InputSource.parse(str(tmp_path / "year=2024"))
    assert (source.path.name, source.weight) == ("year=2024", 1.0)


@pytest.mark.parametrize("weight", ["0", "-1", "nan", "inf", "-inf"])
def test_a_weight_must_be_positive_and_finite(weight):
    with pytest.raises(UserError, match="weight of corpus .* above 0"):
        InputSource.parse(f"corpus={weight}")


@pytest.mark.parametrize("text", ["corpus=", "corpus=heavy", "=2"])
def test_parse_says_how_to_write_it(text, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="PATH=WEIGHT"):
        InputSource.parse(text)


def test_folders_are_read_recursively_and_sorted(tmp_path):
    make(
        tmp_path,
        "b.txt",
        "a/z.jsonl",
        "a/C.train",
        "a/y/q.PARQUET",
        "c.x.txt.gz",
        ".hidden.txt",
        ".git/d.txt",
        "e.md",
        "f",
    )
    sources, report = listed(tmp_path)
    assert sources == ["C", "q", "z", "b", "c.x"]
    assert report.as_dict()["dropped"] == {
        "unknown_suffix": {
            "count": 2,
            "sources": {".md": 1, "": 1},
            "examples": [str(tmp_path / "e.md"), str(tmp_path / "f")],
        }
    }


def test_equal_names_are_told_apart_by_their_folder(tmp_path):
    make(tmp_path, "en/train/01.txt", "sv/train/01.txt", "sv/train/02.txt")
    assert listed(tmp_path)[0] == ["en/train/01", "sv/train/01", "02"]
    assert listed(tmp_path / "en" / "train", tmp_path / "sv" / "train")[0] == ["en/train/01", "sv/train/01", "02"]


def test_equal_names_in_one_folder_keep_their_suffix(tmp_path):
    make(tmp_path, "a.txt", "a.jsonl", "b.txt")
    assert listed(tmp_path)[0] == ["a.jsonl", "a.txt", "b"]


def test_names_that_stay_equal_are_refused(tmp_path):
    make(tmp_path, "a.txt", "a.jsonl", "a.txt.txt")
    with pytest.raises(UserError, match="both be the source 'a.txt'"):
        listed(tmp_path)


def test_links_are_followed_once(tmp_path):
    make(tmp_path, "a/x.txt", "elsewhere/y.txt")
    (tmp_path / "a" / "loop").symlink_to(tmp_path / "a")
    (tmp_path / "a" / "other").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "a" / "gone.txt").symlink_to(tmp_path / "nowhere")
    sources, report = listed(tmp_path / "a")
    assert sources == ["y", "x"]
    assert report.as_dict()["dropped"]["special_file"]["examples"] == [str(tmp_path / "a" / "gone.txt")]


def test_a_file_given_twice_is_refused(tmp_path):
    make(tmp_path, "a/x.txt")
    with pytest.raises(UserError, match="read twice"):
        listed(tmp_path, tmp_path / "a" / "x.txt")


def test_what_cannot_be_read_is_named_with_a_remedy(tmp_path):
    make(tmp_path, "notes/a.md")
    for path, remedy in [
        (tmp_path / "missing", "check the path"),
        (tmp_path / "notes", "holds no readable file .*jsonl"),
        (tmp_path / "notes" / "a.md", "rename or convert"),
    ]:
        with pytest.raises(UserError, match=remedy) as error:
            listed(path)
        assert str(path) in str(error.value)


def test_a_name_makes_one_source_of_many_files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make(tmp_path, "stories/a.txt", "stories/b.txt", "strings/a.txt", "0.5/c.txt")
    words = ["english=stories", "dyck=strings=0.2", "english=0.5"]
    inputs = [InputSource.parse(word) for word in words]
    assert [(entry.name, str(entry.path), entry.weight) for entry in inputs] == [
        ("english", "stories", 1.0),
        ("dyck", "strings", 0.2),
        ("english", "0.5", 1.0),
    ]
    files = list_source_files(inputs, ReadingReport())
    assert [(file.source, file.weight) for file in files] == [("english", 1.0)] * 2 + [("dyck", 0.2), ("english", 1.0)]
    with pytest.raises(UserError, match="the source 'english' has two weights"):
        list_source_files([*inputs[:1], InputSource.parse("english=0.5=3")], ReadingReport())
    with pytest.raises(UserError, match="would both be the source 'a'"):
        list_source_files([InputSource.parse("a=stories"), InputSource.parse("strings")], ReadingReport())
    with pytest.raises(UserError, match="no such file or folder"):
        InputSource.parse("english=nowhere")
