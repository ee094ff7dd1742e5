"""The language and the measure of each source, and scores that can be compared."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.ladders import LADDERS
from tokenformer.complexity import score
from tokenformer.data.corpus import PreparedCorpus
from tokenformer.data.kinds import PERCENTILE, SEVERAL, by_source, percentiles
from tokenformer.data.options import PrepareOptions
from tokenformer.data.prepare import prepare_corpus
from tokenformer.data.source_files import InputSource
from tokenformer.errors import UserError

SOURCES = ["english", "svenska", "dyck"]


@pytest.fixture
def folders(tmp_path):
    """A folder for each of English, Swedish and strings of brackets, 60 documents each, from easy to hard."""
    random = np.random.default_rng(0)
    for name, language in (("english", "en"), ("svenska", "sv")):
        words = [text.split() for text in LADDERS[language][:4]]
        lines = [" ".join(random.choice(words[number // 15], 12)) + f" {number}." for number in range(60)]
        write(tmp_path / name / "text.txt", lines)
    write(
        tmp_path / "dyck" / "strings.txt",
        ["( " * depth + ") " * depth + "( )" * repeats for depth in range(1, 11) for repeats in range(6)],
    )
    return [InputSource(tmp_path / name, name=name) for name in SOURCES]


def write(path, lines) -> None:
    path.parent.mkdir(parents=True)
    path.write_text("\n".join(lines), encoding="utf-8")


def prepared(folders, output, **settings) -> tuple[PreparedCorpus, str]:
    options = {"unit": "line", "vocabulary_size": 300, "validation_share": 0.2, "processes": 1} | settings
    prepare_corpus(PrepareOptions(folders, output, **options))
    return PreparedCorpus.open(output), (output / "report.txt").read_text(encoding="utf-8")


def test_one_language_is_found_out_and_its_scores_are_kept(folders, tmp_path):
    corpus, report = prepared(folders[1:2], tmp_path / "out")
    assert (corpus.language, corpus.measure) == ("sv", "ensemble") and "kinds" not in corpus.manifest
    assert "language sv (found out with confidence 1.00), measure ensemble: svenska" in report
    given, _ = prepared(folders[1:2], tmp_path / "given", language="svenska")
    assert given.fingerprint == corpus.fingerprint


def test_kinds_are_scored_apart_and_made_comparable(folders, tmp_path):
    corpus, report = prepared(folders, tmp_path / "out", language="auto,dyck=formal", measure="lix,dyck=nesting_depth")
    assert (corpus.language, corpus.measure) == (SEVERAL, PERCENTILE) and corpus.sources == SOURCES
    assert corpus.manifest["kinds"]["dyck"] == {"language": "formal", "measure": "nesting_depth"}
    assert "language sv (found out with confidence" in report and "language formal (given)" in report
    table = corpus.train
    for source in range(3):
        chosen = table.complexity[table.source == source]
        assert chosen.mean() == pytest.approx(50), "each kind fills the whole range"
    swedish = (tmp_path / "svenska" / "text.txt").read_text(encoding="utf-8").split("\n")
    assert np.ptp(score(swedish, "sv", "lix")) > 0
    ends = [
        corpus.train.complexity[corpus.train.source == 2].min(),
        corpus.train.complexity[corpus.train.source == 2].max(),
    ]
    assert ends[0] < 15 and ends[1] > 85


def test_what_cannot_be_told_is_named_before_anything_is_scored(folders, tmp_path):
    with pytest.raises(UserError, match="the language of dyck .* cannot be told.*auto,dyck=LANGUAGE"):
        prepared(folders, tmp_path / "out")
    with pytest.raises(UserError, match="did you mean 'dyck'"):
        prepared(folders, tmp_path / "out", language="auto,dick=formal")
    with pytest.raises(UserError, match="no language 'englsh'; did you mean english"):
        prepared(folders, tmp_path / "out", language="englsh")
    with pytest.raises(UserError, match="'flesch_kincaid' does not hold for language 'formal'"):
        prepared(folders, tmp_path / "out", language="auto,dyck=formal", measure="flesch_kincaid")


def test_a_choice_by_source():
    assert by_source("auto,b=sv", "language", ["a", "b"]) == {"a": "auto", "b": "sv"}
    assert by_source(None, "measure", ["a"]) == {"a": None}
    with pytest.raises(UserError, match="write one value for all sources"):
        by_source("en,sv", "language", ["a"])


@given(st.lists(st.integers(0, 9), min_size=1, max_size=50))
def test_percentiles_keep_the_order_and_have_the_mean_50(values):
    found = percentiles(np.array(values), np.sort(values))
    assert found.mean() == pytest.approx(50)
    for first, second in zip(values, found, strict=True):
        assert all((first < other) == (second < its) for other, its in zip(values, found, strict=True))


def test_the_manifest_of_one_kind_is_as_before(folders, tmp_path):
    corpus, _ = prepared(folders[:1], tmp_path / "out", language="en", measure="lix")
    assert json.loads((tmp_path / "out" / "corpus.json").read_text(encoding="utf-8"))["measure"] == "lix"
    assert corpus.language == "en"
