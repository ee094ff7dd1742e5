import base64
import math
import os
import re
import subprocess
import sys
from html.parser import HTMLParser

import pytest

from tokenformer.errors import UserError
from tokenformer.reports import report
from tokenformer.reports.report import write_report
from tokenformer.run_folder.record import RunRecord

pytest.importorskip("matplotlib", reason="the report needs the extra [report]")

VOID_ELEMENTS = {"meta", "img", "source"}


class Page(HTMLParser):
    """Checks that elements are closed in order; collects text, addresses and pictures."""

    def __init__(self, html: str):
        super().__init__()
        self.open_elements: list[str] = []
        self.text = ""
        self.addresses: list[str] = []
        self.tables: list[list[int]] = []
        self.feed(html)
        assert self.open_elements == []

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.addresses.extend(attributes[key] for key in ("src", "srcset", "href") if key in attributes)
        if tag not in VOID_ELEMENTS:
            self.open_elements.append(tag)
        if tag == "table":
            self.tables.append([])
        if tag == "tr":
            self.tables[-1].append(0)
        if tag in ("td", "th"):
            self.tables[-1][-1] += int(attributes.get("colspan", 1))

    def handle_endtag(self, tag):
        assert self.open_elements.pop() == tag

    def handle_data(self, data):
        self.text += data


@pytest.fixture
def without_drawing(monkeypatch):
    """For what does not depend on the picture, which takes most of the time."""
    monkeypatch.setattr(report, "loss_picture", lambda record, theme: theme.background.encode())


def test_the_report_has_table_verdict_growth_and_notes_in_this_order(run_folder, without_drawing):
    text = write_report(run_folder)
    parts = [
        "stage 1: 1,234,567 parameters",
        "stage 3: 4,567,890 parameters",
        "unigram",
        "trigram",
        "The final held-out loss, 3.116 nats per token, is 0.494 (13.7 %) below the trigram baseline, 3.610.",
        "Step 240: ",
        "Step 500: ",
        "Note: The held-out loss of stage 2 was measured at step 480",
    ]
    found = [text.find(part) for part in parts]
    assert -1 not in found
    assert found == sorted(found)


def test_the_page_stands_alone_and_says_what_the_terminal_says(run_folder):
    text = write_report(run_folder, width=1000)
    html = (run_folder / "report.html").read_text(encoding="utf-8")
    page = Page(html)
    assert all(len(set(rows)) == 1 for rows in page.tables) and [len(rows) for rows in page.tables] == [8, 5]
    for word in text.replace("Note: ", "").split("\n\n", 1)[1].replace("─", " ").split():
        assert word in page.text
    assert "<script" not in html and "url(" not in html and "@import" not in html
    assert "prefers-color-scheme: dark" in html and 'name="viewport"' in html
    pictures = [re.fullmatch(r"data:image/png;base64,(.+)", address) for address in page.addresses]
    assert len(pictures) == 2 and all(pictures)
    assert base64.b64decode(pictures[1][1]) == (run_folder / "loss.png").read_bytes()


def test_what_the_run_wrote_is_text_and_not_markup(write_run, metrics, without_drawing):
    growth = next(line for line in metrics if "growth/event" in line)
    growth["growth/reason"] = "<b>bold</b> & <script>alert(1)</script>"
    for line in metrics:
        if "val/loss" in line:
            line["val/loss/<level>"] = 1.0
    folder = write_run(metrics)
    (folder / "config.yaml").write_text("activation: '</pre><script>'\n")
    write_report(folder)
    page = Page((folder / "report.html").read_text(encoding="utf-8"))
    assert growth["growth/reason"] in page.text
    assert "activation: '</pre><script>'" in page.text
    assert "<level>" in page.text


def evaluated(metrics: list[dict]) -> list[dict]:
    """The lines with an evaluation of two tasks after steps 240 and 800, and one that failed after step 400."""
    scores = {240: 0.6112, 800: 0.7034}
    found = []
    for line in metrics:
        found.append(line)
        step, words = line["iteration_step"], {key: line[key] for key in line if key.startswith("consumed_")}
        if "lm_loss" in line and step in scores:
            task = {
                "eval/blimp": scores[step],
                "eval/blimp/stderr": 0.012,
                "eval/blimp/items": 670,
                "eval/blimp/ties": 0.0,
            }
            found.append({"iteration_step": step, **words, **task, "eval/blimp/islands": 0.51, "eval/seconds": 3.0})
        if step == 400:
            found.append({"iteration_step": step, **words, "eval/failed": "no memory", "eval/seconds": 0.1})
    return found


def test_live_evaluations_and_the_course_of_training_are_shown(write_run, metrics, without_drawing):
    folder = write_run(evaluated(metrics), {"trigram": 3.6})
    text = write_report(folder, width=1000)
    assert "left out" not in text and "resumed" not in text
    page = Page((folder / "report.html").read_text(encoding="utf-8")).text
    for shown in (text, page):
        for figure in ("61.12", "70.34", "1.20", "51.00", "step 240", "step 800", "blimp/islands"):
            assert figure in shown
        for figure in ("1.00e-03", "0.800", "5.2k", "0:10:32"):
            assert figure in shown
    assert "The evaluation after step 400 failed: no memory." in text
    without = RunRecord.open(write_run(metrics, {"trigram": 3.6}))
    assert RunRecord.open(write_run(evaluated(metrics), {"trigram": 3.6})).stages == without.stages


def test_an_evaluation_that_a_resumed_run_made_again_counts_once(write_run, metrics):
    lines = evaluated(metrics)
    place = next(number for number, line in enumerate(lines) if "eval/blimp" in line)
    record = RunRecord.open(write_run([*lines[: place + 1], lines[place], *lines[place + 1 :]]))
    assert [line["iteration_step"] for line in record.evaluations] == [240, 400, 800]


@pytest.mark.parametrize("kind", ["no growth", "no validation", "one step", "diverged", "half a line"])
def test_incomplete_runs_are_reported_too(write_run, metrics, kind):
    lines = {
        "no growth": metrics[:200],
        "no validation": [{k: v for k, v in line.items() if not k.startswith("val/")} for line in metrics[1:]],
        "one step": metrics[1:2],
        "diverged": [*metrics[:300], {"iteration_step": 300, "lm_loss": math.nan, "val/loss": math.nan}],
        "half a line": metrics,
    }[kind]
    folder = write_run(lines, {"trigram": 3.6}, '{"iteration' if kind == "half a line" else "")
    text = write_report(folder)
    expected = {
        "no growth": "above the trigram baseline",
        "no validation": "The run measured no held-out loss",
        "one step": "stage 1: 1,234,567 parameters",
        "diverged": "not a finite number",
        "half a line": "the last line is incomplete",
    }[kind]
    assert expected in text
    assert ("Step 240" in text) == (kind in ("no validation", "diverged", "half a line"))
    assert expected in Page((folder / "report.html").read_text(encoding="utf-8")).text


def test_a_folder_that_is_no_run_is_left_alone(tmp_path):
    with pytest.raises(UserError, match=re.escape(str(tmp_path))):
        write_report(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_report_that_fails_leaves_the_old_one(run_folder, monkeypatch, without_drawing):
    write_report(run_folder)
    before = {path.name: path.read_bytes() for path in run_folder.iterdir()}

    def full_disk(source, target):
        raise OSError("no space left")

    monkeypatch.setattr(os, "replace", full_disk)
    with pytest.raises(OSError, match="no space left"):
        write_report(run_folder)
    assert {path.name: path.read_bytes() for path in run_folder.iterdir()} == before


def test_importing_the_report_loads_no_heavy_package():
    loaded = subprocess.run(
        [sys.executable, "-c", "import sys, tokenformer.reports.report; print(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    assert not {"torch", "matplotlib", "pandas", "nanotron", "transformers", "pyarrow"} & set(loaded)
