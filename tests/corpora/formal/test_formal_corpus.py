"""Written corpora: what stands in them, whole or absent, and read by `prepare`."""

import json

import pytest

from tests.support.cases import cases
from tests.support.folders import all_bytes, json_rows
from tokenformer import cli
from tokenformer.corpora import write_corpus
from tokenformer.corpora.formal import LANGUAGES, formal_language
from tokenformer.corpora.options import parsed_parameters
from tokenformer.data.corpus import PreparedCorpus
from tokenformer.data.options import text_key
from tokenformer.errors import UserError


@pytest.mark.parametrize("name", LANGUAGES)
def test_documents_pairs_and_the_language_are_written(name, tmp_path):
    parameters = {"repeats": 2} if name == "equal_counts" else {}
    options = {"language": name, "parameters": parameters, "documents": 200, "pairs": 20, "seed": 5}
    write_corpus("formal", tmp_path / "a", **options)
    write_corpus("formal", tmp_path / "b", **options)
    assert all_bytes(tmp_path / "a") == all_bytes(tmp_path / "b")
    language = formal_language(name, parameters)
    splits = [json_rows(tmp_path / "a" / split / f"{name}.jsonl") for split in ("train", "validation")]
    pairs = json_rows(tmp_path / "a" / "pairs.jsonl")
    assert [len(split) for split in splits] == [190, 10] and len(pairs) == 20
    texts = [row["text"] for split in splits for row in split] + [row["sentence_good"] for row in pairs]
    assert len({text_key(text, 0) for text in texts}) == 220
    for row in [*splits[0], *splits[1]]:
        assert language.accepts(row["text"])
        assert row == {"text": row["text"], **language.ground_truth(row["text"])}
    for row in pairs:
        assert {*row} == {"sentence_good", "sentence_bad", "difficulty", "kind"}
        assert language.accepts(row["sentence_good"]) and not language.accepts(row["sentence_bad"])
    described = json.loads((tmp_path / "a" / "language.json").read_text())
    assert formal_language(described["language"], described["parameters"]) == language
    assert sum(stratum["drawn"] for stratum in described["strata"]) == 220
    assert (tmp_path / "a" / "accuracy.jsonl").exists() == (name == "arithmetic")


def test_pairs_alone(tmp_path):
    write_corpus("formal", tmp_path / "a", language="dyck", documents=0, pairs=9)
    assert sorted(all_bytes(tmp_path / "a")) == ["language.json", "pairs.jsonl"]


def test_an_output_that_exists_is_not_replaced(tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(UserError, match="exists: choose another output"):
        write_corpus("formal", tmp_path, language="dyck")
    assert all_bytes(tmp_path) == {"mine.txt": b"mine"}


@cases(
    {"language": "equal_counts"},
    {"language": "dyck", "documents": 5},
    {"language": "dyck", "documents": -1},
    {"language": "dyck", "documents": 0},
    {"language": "dyck", "validation_share": 1.0},
    {"language": "dyck", "pairs": -1},
    {"language": "regular", "parameters": {"longest": 3}, "pairs": 10**9},
)
def test_a_mistake_leaves_nothing(tmp_path, options):
    with pytest.raises(UserError, match="set|ask|change"):
        write_corpus("formal", tmp_path / "out", **options)
    assert not [*tmp_path.iterdir()]


def test_a_failure_midway_leaves_nothing(tmp_path, monkeypatch):
    def broken(self, text):
        raise OSError("no space left on device")

    monkeypatch.setattr(LANGUAGES["dyck"], "ground_truth", broken)
    with pytest.raises(OSError):
        write_corpus("formal", tmp_path / "out", language="dyck", documents=100)
    assert not [*tmp_path.iterdir()]


def test_parameters_on_the_command_line():
    assert parsed_parameters(["depth=4", "kinds=2"]) == {"depth": 4, "kinds": 2}
    for wrong in ("depth", "depth=", "depth=deep", "depth=1.5"):
        with pytest.raises(UserError, match="KEY=NUMBER"):
            parsed_parameters([wrong])


def test_prepare_reads_what_was_written(tmp_path, capsys):
    """One token a symbol, whatever brackets stand beside one another, and complexity from the nesting."""
    options = ["--set", "depth=4", "--documents", "400", "--validation-share", "0.1", "--pairs", "10"]
    assert cli.main(["corpus", "formal", str(tmp_path / "dyck"), "--language", "dyck", *options]) == 0
    inputs = [str(tmp_path / "dyck" / "train"), "--validation", str(tmp_path / "dyck" / "validation")]
    arguments = [*inputs, "--output", str(tmp_path / "prepared"), "--language", "formal", "--vocabulary-size", "300"]
    assert cli.main(["prepare", *arguments]) == 0
    corpus = PreparedCorpus.open(tmp_path / "prepared")
    assert [len(corpus.train), len(corpus.validation)] == [360, 40]
    assert corpus.train.tokens.tolist() == (corpus.train.words + 1).tolist()
    assert corpus.measure_unit == "brackets or indentations"
    by_text = {row["text"]: row["difficulty"] for row in json_rows(tmp_path / "dyck" / "train" / "dyck.jsonl")}
    assert set(by_text.values()) == {1, 2, 3, 4}
    assert "nesting_depth" in capsys.readouterr().out


def test_surprisal_can_be_asked_for(tmp_path):
    write_corpus("formal", tmp_path / "sums", language="arithmetic", documents=100)
    arguments = [str(tmp_path / "sums" / "train"), "--output", str(tmp_path / "p"), "--validation-share", "0.2"]
    assert cli.main(["prepare", *arguments, "--language", "formal", "--measure", "surprisal"]) == 0
    assert PreparedCorpus.open(tmp_path / "p").measure_unit == "bits per word"
