"""`tokenformer score`, in a terminal and as a page."""

import re

import numpy as np
import pytest

from tokenformer.cli import main
from tokenformer.complexity import MEASURES, score
from tokenformer.curriculum.plan import build_plan
from tokenformer.data.corpus_scoring import CorpusScoring
from tokenformer.data.text_collection import open_collection
from tokenformer.errors import UserError
from tokenformer.reports.complexity_report import report_complexity
from tokenformer.reports.corpus_complexity import CorpusComplexity, score_collection
from tokenformer.reports.options import ScoreOptions

EASY = "The cat sat. The dog ran. I see the cat."
HARD = "Notwithstanding methodological disagreements, epistemologists acknowledge antecedent considerations."
SWEDISH = "Katten satt på mattan och tittade på den lilla fågeln."


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """1,200 documents of two sources, the hardest of all among the easy ones."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    texts = tmp_path / "texts"
    texts.mkdir()
    generator = np.random.default_rng(0)
    for name, text in (("easy", EASY), ("hard", HARD)):
        documents = [" ".join(generator.choice(text.lower().split(), 20)) + f". {number}" for number in range(600)]
        if name == "easy":
            documents[123] = f"<b>{HARD}</b> " * 3
        (texts / f"{name}.txt").write_text("\n\n".join(documents), encoding="utf-8")
    return texts


def test_a_sentence_gets_every_measure_of_its_language(capsys):
    assert main(["score", EASY, HARD]) == 0
    printed = capsys.readouterr().out
    assert "language: en (found out, confidence 1.00)" in printed
    assert "fewer than 50 words is too short" in printed
    blocks = printed.split("\n\n")[1:]
    for text, block in zip((EASY, HARD), blocks, strict=True):
        assert block.startswith(text[:60])
        found = dict(re.findall(r"^  (\w+) +(-?[\d.]+)  ", block, flags=re.MULTILINE))
        assert set(found) >= {"ensemble", "surprisal", "lix", "flesch_kincaid", "mtld"}
        assert float(found["lix"]) == pytest.approx(score([text], "en", "lix")[0], abs=1e-3)
    assert "flesch_kincaid_swedish" not in printed


def test_language_and_measure_may_be_given(capsys):
    assert main(["score", SWEDISH]) == 0
    assert "language: sv (found out" in capsys.readouterr().out
    assert main(["score", SWEDISH, "--language", "sv", "--measure", "lix"]) == 0
    printed = capsys.readouterr().out
    assert "language: sv (given)" in printed and "surprisal" not in printed
    assert main(["score", "((()))", "--language", "formal"]) == 0
    assert re.search(r"nesting_depth +2\.000", capsys.readouterr().out)
    assert main(["score", "xyzzy qwrt plugh"]) == 2
    assert "language of the text cannot be told" in capsys.readouterr().err
    assert main(["score", EASY, "--measure", "flesch_kincaid_swedish"]) == 2
    assert "does not hold for language 'en'" in capsys.readouterr().err


def test_a_folder_gets_a_row_a_source(folder, capsys):
    assert main(["score", str(folder), "--measure", "lix", "--language", "en", "--processes", "1"]) == 0
    printed = capsys.readouterr().out
    rows = {line.split()[0]: line.split() for line in printed.splitlines() if line.split()[:1]}
    assert rows["easy"][1] == rows["hard"][1] == "600" and rows["all"][1] == "1,200"
    scores = score(list(open_collection([str(folder)])), "en", "lix")
    assert float(rows["all"][3]) == pytest.approx(scores.mean(), abs=1e-3)
    assert float(rows["hard"][6]) == pytest.approx(np.median(scores[600:]), abs=1e-3)
    assert not any((folder.parent / "cache").rglob("chunk-*"))
    numbers = [int(number.replace(",", "")) for number in re.findall(r"hard, document ([\d,]+): ", printed)]
    assert numbers and max(numbers) <= 600, "documents are counted within their file"


def test_an_interrupted_answer_goes_on(folder, monkeypatch):
    monkeypatch.setattr("tokenformer.data.corpus_scoring.FEW_CHUNKS", 0)
    options, collection = ScoreOptions(language="en", measure="lix", processes=1), open_collection([str(folder)])
    with monkeypatch.context() as stopped:
        stopped.setattr("tokenformer.reports.corpus_complexity._texts_at_the_ends", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            score_collection(collection, options)
    assert any((folder.parent / "cache").rglob("chunk-*"))
    monkeypatch.setattr("tokenformer.data.corpus_scoring.MeasureColumns.__call__", lambda *_: 1 / 0)
    found = score_collection(collection, options)
    np.testing.assert_array_equal(found.main, score(list(collection), "en", "lix"))
    assert not any((folder.parent / "cache").rglob("chunk-*"))


def test_the_page_shows_everything_and_needs_nothing_else(folder, tmp_path):
    pytest.importorskip("matplotlib")
    collection = open_collection([str(folder)])
    scores = score(list(collection), "en", "surprisal")
    plan = build_plan(
        document_tokens=np.full(scores.size, 30),
        document_words=np.full(scores.size, 21),
        document_complexity=scores,
        total_tokens=scores.size * 30 - 1,
        sequence_length=64,
        ordering="easy_to_hard",
    )
    options = ScoreOptions(language="en", measure="surprisal", processes=1)
    corpus = type("Corpus", (), {"measure": "surprisal", "language": "en"})
    planned = type(collection)(collection.title, collection.read, corpus=corpus)
    report_complexity(planned, options, tmp_path / "page.html", plan)
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    for heading in (
        "Distribution by source",
        "Planned path of complexity",
        "Agreement between measures",
        "Odd documents",
    ):
        assert heading in page
    assert page.count("data:image/png;base64,") == 4
    assert not re.search(r"(src|href)=\"(?!data:)", page)
    assert "&lt;b&gt;Notwithstanding" in page and "<b>Notwithstanding" not in page
    assert all(f"<summary>{name}</summary>" in page for name in ("surprisal", "lix", "ensemble"))
    without_plan = report_complexity(collection, options, tmp_path / "other.html")
    assert "Planned path" not in (tmp_path / "other.html").read_text(encoding="utf-8")
    assert "easiest:" in without_plan


def test_odd_documents_and_agreement():
    generator = np.random.default_rng(0)
    scores = generator.permutation(3000).astype(float)
    found = CorpusComplexity(
        title="numbers",
        language="en",
        confidence=None,
        measures=("lix", "mtld", "mattr"),
        scores=np.stack([scores, -(scores**3), np.zeros(3000)], axis=1),
        source=np.zeros(3000, int),
        sources=["all"],
        words=np.ones(3000, int),
        texts={row: f"text {row}" for row in range(3000)},
    )
    assert found.odd_count() == 3
    assert [each.score for each in found.hardest(3)] == [2999, 2998, 2997]
    assert [each.score for each in found.easiest(2)] == [0, 1]
    assert [each.excerpt for each in found.easiest(1, measure=1)] == [each.excerpt for each in found.hardest(1)]
    np.testing.assert_allclose(found.agreement(), [[1, -1, 0], [-1, 1, 0], [0, 0, 0]], atol=1e-12)


def test_mistakes_are_found_before_work(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(CorpusScoring, "score", lambda *_: pytest.fail("work has begun"))
    collection = open_collection([str(folder)])
    with pytest.raises(UserError, match="there is no folder"):
        report_complexity(collection, ScoreOptions(), tmp_path / "no" / "page.html")
    with pytest.raises(UserError, match="no measure 'fog'"):
        report_complexity(collection, ScoreOptions(measure="fog"))
    corpus = type("Corpus", (), {"measure": "surprisal", "language": "en"})
    with pytest.raises(UserError, match="by the measure 'surprisal', not 'lix'"):
        planned = type(collection)(collection.title, collection.read, corpus=corpus)
        report_complexity(planned, ScoreOptions(measure="lix"), None, plan=object())


def test_no_documents(tmp_path):
    (tmp_path / "blank.txt").write_text("\n\n \n")
    with pytest.raises(UserError, match="there is no document in"):
        score_collection(open_collection([str(tmp_path / "blank.txt")]), ScoreOptions(language="en", measure="lix"))


def test_measures_that_need_a_model_are_not_computed_unasked():
    needing = {name for name, measure in MEASURES.items() if measure.needs_model}
    assert needing == {"dependency_distance", "perplexity", "loss_gap"}
    found = score_collection(open_collection([EASY]), ScoreOptions(language="en", every_measure=True))
    assert not needing & set(found.measures)
