"""Preparing a corpus: exact sums, the same bytes twice, all or nothing, and reports that say what happened."""

import json
import re
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

from tests.support.cases import cases
from tests.support.folders import all_bytes
from tokenformer.data.corpus import PreparedCorpus
from tokenformer.data.prepare import PrepareOptions, prepare_corpus
from tokenformer.data.reading import InputSource, read_documents
from tokenformer.data.tokenizer import load_tokenizer
from tokenformer.errors import UserError


def options_for(folder: Path, output: Path, **changes) -> PrepareOptions:
    return PrepareOptions(
        **{
            "inputs": [InputSource(folder)],
            "unit": "paragraph",
            "language": "en",
            "output": output,
            "vocabulary_size": 300,
            "validation_share": 0.2,
        }
        | changes
    )


@pytest.fixture
def prepared(stand_in_measure, two_sources, tmp_path) -> PreparedCorpus:
    prepare_corpus(options_for(two_sources, tmp_path / "out"))
    return PreparedCorpus.open(tmp_path / "out")


def decoded(corpus: PreparedCorpus, split: str) -> list[str]:
    """The texts of a split, their end-of-document tokens checked and removed."""
    tokenizer = load_tokenizer(corpus.tokenizer_folder)
    shards = getattr(corpus, split).shards
    texts = []
    for document in range(len(shards)):
        *tokens, end = shards.document_tokens(document).tolist()
        assert end == corpus.end_of_document_id == tokenizer.end_of_document_id
        assert end not in tokens
        texts.append(tokenizer.decode(tokens))
    return texts


def test_every_document_is_in_one_split_and_comes_back_whole(prepared, two_sources, stand_in_measure):
    original = [(d.text, d.source) for d in read_documents([InputSource(two_sources)], "paragraph")]
    found = []
    for split in ("train", "validation"):
        table = getattr(prepared, split)
        texts = decoded(prepared, split)
        found += [(text, prepared.sources[source]) for text, source in zip(texts, table.source, strict=True)]
        assert table.words.tolist() == [len(text.split()) for text in texts]
        assert table.bytes.tolist() == [len(text.encode()) for text in texts]
        assert table.tokens.tolist() == table.shards.lengths.tolist()
        assert np.array_equal(table.complexity, stand_in_measure.characters_per_word(texts))
        expected_types = {
            "tokens": "int64",
            "words": "int64",
            "bytes": "int64",
            "source": "int32",
            "complexity": "float64",
        }
        assert {name: column.dtype.name for name, column in table.columns().items()} == expected_types
    assert sorted(found) == sorted(original)
    assert prepared.sources == ["easy", "hard"]
    assert 60 < len(prepared.validation) < 180


def test_order_within_a_split_is_that_of_the_files(prepared, two_sources):
    original = [document.text for document in read_documents([InputSource(two_sources)], "paragraph")]
    places = [original.index(text) for text in decoded(prepared, "train")]
    assert places == sorted(places)


def test_preparing_twice_gives_the_same_bytes(prepared, two_sources, tmp_path):
    prepare_corpus(options_for(two_sources, tmp_path / "elsewhere" / "again"))
    again = tmp_path / "elsewhere" / "again"
    assert all_bytes(prepared.folder) == all_bytes(again)
    assert PreparedCorpus.open(again).fingerprint == prepared.fingerprint


@pytest.mark.parametrize("change", [{"seed": 1}, {"validation_share": 0.3}, {"unit": "line"}, {"language": "sv"}])
def test_other_options_have_another_fingerprint(prepared, two_sources, tmp_path, change):
    prepare_corpus(options_for(two_sources, tmp_path / "other", **change))
    assert PreparedCorpus.open(tmp_path / "other").fingerprint != prepared.fingerprint


def test_duplicates_land_on_one_side(stand_in_measure, tmp_path):
    (tmp_path / "a.txt").write_text("".join(f"Line {n}\nline  {n}\nLINE {n}\n" for n in range(200)))
    prepare_corpus(options_for(tmp_path / "a.txt", tmp_path / "out", unit="line"))
    corpus = PreparedCorpus.open(tmp_path / "out")
    numbers = {split: {text.split()[1] for text in decoded(corpus, split)} for split in ("train", "validation")}
    assert not numbers["train"] & numbers["validation"]
    assert len(corpus.train) == 3 * len(numbers["train"])
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["repeated"] == {
        "training documents that repeat another": 2 * len(numbers["train"]),
        "validation documents that also occur in training": 0,
    }


def test_validation_inputs(stand_in_measure, two_sources, tmp_path):
    held_out = tmp_path / "dev"
    held_out.mkdir()
    (held_out / "hard.txt").write_text("Ödlor é\n\nen till")
    (held_out / "new.txt").write_text((two_sources / "easy.txt").read_text().split("\n\n")[0])
    inputs = [InputSource(two_sources / "easy.txt", 2.0), InputSource(two_sources / "hard.txt", 0.5)]
    report = prepare_corpus(
        options_for(two_sources, tmp_path / "out", inputs=inputs, validation_inputs=[InputSource(held_out)])
    )
    corpus = PreparedCorpus.open(tmp_path / "out")
    assert (corpus.sources, corpus.weights) == (["easy", "hard", "new"], [2.0, 0.5, 1.0])
    assert len(corpus.train) == 600
    assert corpus.validation.source.tolist() == [1, 1, 2]
    assert report["repeated"]["validation documents that also occur in training"] == 1
    no_easy, leaked = report["warnings"]
    assert no_easy.startswith("no document is held out of easy:")
    assert leaked.startswith("1 validation documents that also occur in training:")
    assert f"WARNING: {leaked}" in (tmp_path / "out" / "report.txt").read_text()
    assert set(report["reading"]) == {"inputs", "validation inputs"}


def test_a_tokenizer_of_the_users_own(prepared, two_sources, tmp_path):
    report = prepare_corpus(options_for(two_sources, tmp_path / "own", tokenizer=prepared.tokenizer_folder))
    own = PreparedCorpus.open(tmp_path / "own")
    assert all_bytes(own.tokenizer_folder) == all_bytes(prepared.tokenizer_folder)
    assert np.array_equal(own.train.tokens, prepared.train.tokens)
    assert report["vocabulary"]["loaded_from"] == str(prepared.tokenizer_folder)


def test_the_tokenizer_never_sees_held_out_text(stand_in_measure, tmp_path):
    (tmp_path / "train.txt").write_text("cat dog " * 100)
    (tmp_path / "dev.txt").write_text("zebra " * 100)
    held_out = [InputSource(tmp_path / "dev.txt")]
    prepare_corpus(options_for(tmp_path / "train.txt", tmp_path / "out", validation_inputs=held_out))
    corpus = PreparedCorpus.open(tmp_path / "out")
    assert corpus.train.tokens[0] < 2 * corpus.train.words[0] + 3
    assert corpus.validation.tokens[0] > 5 * corpus.validation.words[0]


def test_the_report_adds_up(prepared):
    report = json.loads((prepared.folder / "report.json").read_text())
    assert report["warnings"] == []
    reading = report["reading"]["inputs"]["total"]
    for split in ("train", "validation"):
        total, table = report["total"][split], getattr(prepared, split)
        assert total["tokens"] == table.shards.total == int(table.tokens.sum())
        assert report["exactness"][split] == {
            "encoded_tokens": table.shards.total - len(table),
            "end_of_document_tokens": len(table),
            "tokens_in_shards": table.shards.total,
        }
        for count in ("documents", "words", "tokens", "bytes"):
            assert total[count] == sum(source[split][count] for source in report["sources"].values())
        assert total["tokens_per_word"] == pytest.approx(total["tokens"] / total["words"])
        easy = table.complexity[table.source == 0]
        assert report["sources"]["easy"][split]["complexity"] == {
            str(percent): pytest.approx(np.percentile(easy, percent)) for percent in (5, 25, 50, 75, 95)
        }
    for count in ("documents", "words", "bytes"):
        assert reading[count] == sum(report["total"][split][count] for split in report["total"])


def test_the_text_report_says_what_was_dropped_and_how_to_repeat_it(stand_in_measure, two_sources, tmp_path):
    (two_sources / "rows.jsonl").write_text('oops\n{"text": "a\\ud800"}\n{}\n' + '{"text": "row"}\n' * 3)
    (two_sources / "notes.md").write_text("not read")
    prepare_corpus(options_for(two_sources, tmp_path / "out", command="tokenformer prepare texts --output out"))
    text = (tmp_path / "out" / "report.txt").read_text()
    for expected in [
        "made by: tokenformer prepare texts --output out",
        "dropped: 1 malformed JSON lines dropped",
        "rows.jsonl:1",
        "1 rows without a string in the text field",
        "1 files of another type not read",
        "repaired: 1 lone surrogates replaced",
        "percentiles over documents",
        "Vocabulary: 300 tokens of 300 asked for",
    ]:
        assert expected in text
    easy = re.search(r"^easy +train +1 +(\d+) ", text, re.MULTILINE)
    assert int(easy[1]) == (PreparedCorpus.open(tmp_path / "out").train.source == 0).sum()


@pytest.mark.parametrize("failure", [RuntimeError("broken"), KeyboardInterrupt()])
@pytest.mark.parametrize("step", ["train_tokenizer", "encode_split", "report_dict", "write_manifest"])
def test_a_failure_midway_leaves_nothing(stand_in_measure, two_sources, tmp_path, monkeypatch, step, failure):
    def fail(*arguments, **named):
        raise failure

    monkeypatch.setattr(f"tokenformer.data.prepare.{step}", fail)
    with pytest.raises(type(failure)):
        prepare_corpus(options_for(two_sources, tmp_path / "out"))
    assert [path.name for path in tmp_path.iterdir()] == ["texts"]


def test_a_failure_midway_keeps_the_corpus_that_was_there(prepared, two_sources, tmp_path, stand_in_measure):
    before = all_bytes(prepared.folder)
    stand_in_measure.scorer.on = lambda documents: np.full(len(documents), np.nan)
    with pytest.raises(RuntimeError, match="finite score"):
        prepare_corpus(options_for(two_sources, prepared.folder, overwrite=True))
    assert all_bytes(prepared.folder) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "texts"]


def test_a_killed_process_leaves_no_output_and_the_next_run_works(stand_in_measure, two_sources, tmp_path):
    script = textwrap.dedent(
        """
        import os, signal, sys
        from pathlib import Path
        from tokenformer.data import prepare
        from tokenformer.data.reading import InputSource

        prepare.check_kinds = lambda *arguments: None
        prepare.score_by_kind = lambda *arguments: os.kill(os.getpid(), signal.SIGKILL)
        inputs = [InputSource(Path(sys.argv[1]))]
        options = prepare.PrepareOptions(inputs, Path(sys.argv[2]), "paragraph", language="en")
        prepare.prepare_corpus(options)
        """
    )
    output = tmp_path / "out"
    killed = subprocess.run([sys.executable, "-c", script, two_sources, output])
    assert killed.returncode == -signal.SIGKILL
    assert sorted(path.name for path in tmp_path.iterdir()) == [".out.tokenformer", "texts"]
    prepare_corpus(options_for(two_sources, output))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "texts"]


def test_overwriting_replaces_the_corpus(prepared, two_sources, tmp_path):
    with pytest.raises(UserError, match="exists"):
        prepare_corpus(options_for(two_sources, prepared.folder))
    (two_sources / "hard.txt").unlink()
    prepare_corpus(options_for(two_sources, prepared.folder, overwrite=True))
    assert PreparedCorpus.open(prepared.folder).sources == ["easy"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "texts"]


def test_a_folder_that_is_no_corpus_is_never_overwritten(stand_in_measure, two_sources, tmp_path):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.tex").write_text("years of work")
    with pytest.raises(UserError, match="not a prepared corpus"):
        prepare_corpus(options_for(two_sources, tmp_path / "thesis", overwrite=True))
    assert (tmp_path / "thesis" / "chapter.tex").read_text() == "years of work"


@cases(
    ({"inputs": []}, "nothing to prepare"),
    ({"unit": "word"}, "line, paragraph, file"),
    ({"validation_share": 0.0}, "between 0 and 1"),
    ({"validation_share": 1e-9}, "validation split: change validation_share"),
    ({"vocabulary_size": 256}, "257 or more"),
    ({"measure": "length"}, "no measure 'length'"),
    ({"tokenizer": Path("nowhere")}, "no tokenizer at nowhere"),
    ({"output": "texts/out"}, "lie in one another"),
    ({"output": "."}, "lie in one another"),
    ids=str,
)
def test_options_that_do_not_hold(stand_in_measure, two_sources, tmp_path, change, message):
    if "output" in change:
        change = {"output": tmp_path / change["output"], "overwrite": True}
    before = all_bytes(tmp_path)
    with pytest.raises(UserError, match=message):
        prepare_corpus(options_for(two_sources, **{"output": tmp_path / "out"} | change))
    assert all_bytes(tmp_path) == before
    assert not (tmp_path / "out").exists()


def test_progress_is_shown_on_a_terminal_only(stand_in_measure, two_sources, tmp_path, capfd, monkeypatch):
    prepare_corpus(options_for(two_sources, tmp_path / "quiet"))
    assert capfd.readouterr() == ("", "")
    monkeypatch.setenv("FORCE_COLOR", "1")
    prepare_corpus(options_for(two_sources, tmp_path / "shown"))
    shown = capfd.readouterr()
    assert shown.out == ""
    for step in ("reading inputs", "scoring complexity", "training the tokenizer", "encoding train"):
        assert step in shown.err


def test_rows_without_the_field_are_explained(stand_in_measure, tmp_path):
    (tmp_path / "a.jsonl").write_text('{"body": "a"}\n')
    with pytest.raises(UserError, match=r"text field \(now 'text'\)(.|\n)*1 rows without a string .*a.jsonl:1"):
        prepare_corpus(options_for(tmp_path / "a.jsonl", tmp_path / "out"))


def test_the_registered_measures_can_be_used(two_sources, tmp_path):
    """With the real scoring: the interface between the two packages holds."""
    curriculum = pytest.importorskip("tokenformer.complexity")
    from tokenformer.complexity.scoring import default_measure

    report = prepare_corpus(options_for(two_sources, tmp_path / "out"))
    corpus = PreparedCorpus.open(tmp_path / "out")
    assert corpus.measure == default_measure("en")
    assert corpus.measure_unit == curriculum.MEASURES[corpus.measure].unit == report["complexity"]["unit"]
    assert np.isfinite(corpus.train.complexity).all()


def test_scores_outlive_a_failure_after_them(two_sources, tmp_path, monkeypatch):
    """The next run of the same documents finds the scores, and removes them when the corpus is whole."""
    monkeypatch.setattr("tokenformer.data.corpus_scoring.FEW_CHUNKS", 0)
    options = options_for(two_sources, tmp_path / "out", measure="lix")
    with monkeypatch.context() as failing:
        failing.setattr("tokenformer.data.prepare._get_tokenizer", lambda *arguments: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            prepare_corpus(options)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".out.tokenformer", "texts"]
    with monkeypatch.context() as scoring_fails:
        scoring_fails.setattr("tokenformer.data.corpus_scoring.MeasureColumns.__call__", lambda *arguments: 1 / 0)
        prepare_corpus(options)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "texts"]
