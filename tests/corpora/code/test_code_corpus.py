"""A corpus of code: its documents, its two halves, and what it says of itself."""

import ast

import pytest

from tests.support.cases import cases
from tests.support.folders import all_bytes, json_rows
from tokenformer import cli
from tokenformer.corpora import write_corpus
from tokenformer.corpora.code import corpus
from tokenformer.corpora.code.source_tree import standard_library
from tokenformer.data.corpus import PreparedCorpus
from tokenformer.data.options import text_key
from tokenformer.errors import UserError

FUNCTION = """def {name}(values, start={number}):
    total = start
    for value in values:
        total = total + value
    return total
"""


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """Sixty files with two functions, of which one is in ten files word for word."""
    folder = tmp_path_factory.mktemp("tree")
    for number in range(60):
        own = FUNCTION.format(name=f"sum_{number}", number=number)
        shared = FUNCTION.format(name="shared", number=number // 10).replace("total", "result")
        (folder / f"m{number:02}.py").write_text(
            f"{own}\n\n{shared}\n\nclass Sum:\n    number = {number}\n", encoding="utf-8"
        )
    (folder / "LICENSE").write_text("Do what you like.\n")
    (folder / "broken.py").write_text("def f(:\n")
    return folder


@pytest.mark.parametrize("unit", ["file", "definition"])
def test_documents_are_whole_and_in_one_half(tree, tmp_path, unit):
    options = {"source": tree, "unit": unit, "validation_share": 0.2, "pairs": 12}
    write_corpus("code", tmp_path / "a", **options)
    write_corpus("code", tmp_path / "b", **options)
    assert all_bytes(tmp_path / "a") == all_bytes(tmp_path / "b")
    train, validation = (json_rows(tmp_path / "a" / split / "code.jsonl") for split in ("train", "validation"))
    keys = [text_key(row["text"], 0) for row in (*train, *validation)]
    assert len(keys) == len(set(keys)) == (60 if unit == "file" else 60 + 6 + 60)
    assert not {row["path"] for row in train} & {row["path"] for row in validation}
    for row in (*train, *validation):
        assert row["text"] in (tree / row["path"]).read_text()
        assert {*row} == {"text", "path", "kind", "name", "line", "depth"} and ast.parse(row["text"])
    held_out = "\n".join((tree / path).read_text() for path in {row["path"] for row in validation})
    pairs = json_rows(tmp_path / "a" / "pairs.jsonl")
    assert len(pairs) == 12 and all(row["sentence_good"] in held_out for row in pairs)
    assert {*pairs[0]} == {"sentence_good", "sentence_bad", "difficulty", "kind"}


def test_the_output_says_whose_licence_holds_and_what_was_skipped(tree, tmp_path):
    write_corpus("code", tmp_path / "out", source=tree, validation_share=0.2)
    said = (tmp_path / "out" / "README.txt").read_text()
    assert "under the licence of that source tree. It is copied here: LICENSE." in said
    assert (tmp_path / "out" / "LICENSE").read_text() == "Do what you like.\n"
    assert "1 files that this Python cannot parse (first: broken.py)" in said


@cases(
    ({"validation_share": 0.0}, "between 0 and 1"),
    ({"unit": "line"}, "choose one of file, definition"),
    ({"unit": "definition", "suffixes": [".c"]}, "leave the suffixes"),
    ({"pairs": -1}, "0 or more"),
    ({"pairs": 5000, "validation_share": 0.2}, "ask for fewer"),
    ({"suffixes": [".c"]}, "0 training and 0 validation documents"),
)
def test_a_mistake_leaves_nothing(tree, tmp_path, options, message):
    with pytest.raises(UserError, match=message):
        write_corpus("code", tmp_path / "out", **{"source": tree, **options})
    assert not [*tmp_path.iterdir()]


def test_the_standard_library_is_written_and_prepared(tmp_path, monkeypatch, capsys):
    """Of its folder `email` alone, which is quick; the licence is the Foundation's."""
    monkeypatch.setattr(corpus, "standard_library", lambda: standard_library() / "email")
    folder = str(tmp_path / "code")
    assert (
        cli.main(["corpus", "code", folder, "--unit", "definition", "--validation-share", "0.2", "--pairs", "6"]) == 0
    )
    assert "Python Software Foundation License Version 2" in capsys.readouterr().out
    prepare = [f"{folder}/train", "--validation", f"{folder}/validation", "--output", str(tmp_path / "prepared")]
    assert cli.main(["prepare", *prepare, "--language", "code", "--vocabulary-size", "600"]) == 0
    prepared = PreparedCorpus.open(tmp_path / "prepared")
    assert len(prepared.train) == len(json_rows(tmp_path / "code" / "train" / "code.jsonl")) > 50
    assert prepared.measure_unit == "brackets or indentations"
    assert prepared.train.complexity.std() > 0
