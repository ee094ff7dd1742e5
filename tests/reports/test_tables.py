import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.cases import cases
from tokenformer.reports.tables import (
    ColumnGroup,
    Table,
    footnotes,
    growth_sentence,
    stage_table,
    to_text,
    verdict,
)
from tokenformer.run_folder.record import RunRecord


def test_the_table_holds_every_figure_of_stages_and_baselines(run_folder):
    record = RunRecord.open(run_folder)
    lines = to_text(stage_table(record), width=1000).splitlines()
    headings, columns, _, *rows = lines
    assert headings.split() == ["training", "overall", "1-basic-english", "2-modern-english", "3-king-james"]
    assert columns.split() == ["last", "step", "words", "tokens", "FLOPs", *["loss", "bits/byte"] * 4]
    assert len(rows) == 6
    for stage, row in zip(record.stages, rows, strict=False):
        held_out = [(stage.held_out.loss, stage.held_out.bits_per_byte), *stage.held_out.by_level.values()]
        assert row.split() == [
            "stage",
            f"{stage.number}:",
            f"{stage.parameters:,}",
            "parameters",
            f"{stage.last_step:,}",
            f"{stage.words:,.0f}",
            f"{stage.tokens:,}",
            f"{stage.training_flops:.2e}".replace("e+", "e"),
            *(f"{value:.3f}" for pair in held_out for value in pair),
        ]
    for (name, baseline), row in zip(record.baselines.items(), rows[3:], strict=True):
        held_out = [(baseline.loss, baseline.bits_per_byte), *baseline.by_level.values()]
        assert row.split() == [name, *(f"{value:.3f}" for pair in held_out for value in pair)]


def test_what_was_not_measured_is_a_dash(write_run, metrics):
    row = to_text(stage_table(RunRecord.open(write_run([metrics[1]])))).splitlines()[-1]
    assert row.split()[-2:] == ["–", "–"]


@given(
    names=st.lists(st.text("abc", min_size=1, max_size=12), min_size=1, max_size=4),
    spans=st.lists(st.integers(1, 3), min_size=1, max_size=6),
    width=st.integers(20, 120),
)
def test_a_wide_table_is_broken_between_groups_and_loses_no_cell(names, spans, width):
    groups = tuple(
        ColumnGroup(
            f"group{index}",
            tuple(f"c{index}.{column}" for column in range(span)),
            tuple(tuple(f"{index}.{column}.{row}" for column in range(span)) for row in range(len(names))),
        )
        for index, span in enumerate(spans)
    )
    text = to_text(Table(tuple(names), groups), width)
    one_line = to_text(Table(tuple(names), groups), 10_000)
    words = [word for word in text.replace("─", " ").split() if word not in names]
    assert sorted(words) == sorted(word for word in one_line.replace("─", " ").split() if word not in names)
    for block in text.split("\n\n"):
        shown = block.splitlines()[0].split()
        assert all(len(line) <= width for line in block.splitlines()) or len(shown) == 1
        columns = sum(spans[int(group.removeprefix("group"))] for group in shown)
        assert len(block.splitlines()[1].split()) == columns


@cases(
    (4.0, "is 1.000 (25.0 %) below the trigram baseline, 4.000."),
    (2.5, "is 0.500 (20.0 %) above the trigram baseline, 2.500."),
    (3.0, "equals the trigram baseline."),
    (None, "has no trigram baseline to compare it with."),
)
def test_the_verdict_compares_the_last_validation_with_the_trigram(write_run, metrics, trigram, expected):
    metrics[-1] |= {"val/loss": 3.0}
    record = RunRecord.open(write_run(metrics, {"trigram": trigram} if trigram else None))
    assert verdict(record).startswith("The final held-out loss, 3.000 nats per token,")
    assert verdict(record).endswith(expected)


def test_the_verdict_without_a_loss(write_run, metrics):
    assert "measured no held-out loss" in verdict(RunRecord.open(write_run([metrics[1]], {"trigram": 3.0})))


@pytest.mark.parametrize("loss", [math.nan, math.inf])
def test_the_verdict_on_a_diverged_run(write_run, metrics, loss):
    metrics[-1] |= {"val/loss": loss}
    assert "not a finite number" in verdict(RunRecord.open(write_run(metrics, {"trigram": 3.0})))


def test_a_growth_event_in_words(run_folder):
    sentence = growth_sentence(RunRecord.open(run_folder).growth_events[0])
    assert sentence.startswith(
        "Step 240: 1,234,567 → 2,345,678 parameters by append_tokens (smoothed complexity rose above 2.1). Loss "
    )
    assert sentence.endswith("(−0.0004).")


def test_a_growth_event_of_which_little_is_known(write_run, metrics):
    folder = write_run([metrics[1], {"iteration_step": 1, "growth/event": 1, "growth/parameters": 2000}])
    event = RunRecord.open(folder).growth_events[0]
    assert growth_sentence(event) == "Step 1: – → 2,000 parameters. The loss was not measured."


def test_footnotes_name_losses_measured_before_the_end_and_what_was_left_out(write_run, metrics):
    record = RunRecord.open(write_run(metrics, None, json.dumps({})[:1]))
    assert footnotes(record) == [
        "The held-out loss of stage 2 was measured at step 480, not at its last step, 500.",
        *record.notes,
    ]


def test_words_seen_unique_words_and_epochs_are_stated(run_folder):
    assert not any("unique words" in note for note in footnotes(RunRecord.open(run_folder)))
    reading = {"documents": 1200, "unique_words": 400_000, "words": 2_000_000.4, "epochs": 4.987, "sources": {}}
    (run_folder / "reading.json").write_text(json.dumps(reading))
    record = RunRecord.open(run_folder)
    seen = f"{record.steps[-1]['consumed_words']:,.0f}"
    assert footnotes(record)[0] == (
        f"Words are those between whitespace, repeats counted: {seen} seen so far of 2,000,000 that the whole run "
        "reads, 400,000 unique words in 1,200 documents, 4.99 epochs."
    )
