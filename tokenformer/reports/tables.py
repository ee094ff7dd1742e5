"""The report's table and sentences: a `RunRecord` in words and numbers, for the terminal and for the page alike."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tokenformer.console import short_number, side_by_side
from tokenformer.run_folder import keys
from tokenformer.run_folder.record import GrowthEvent, HeldOut, Line, RunRecord

MISSING = "–"

EVALUATION_DETAILS = ("/items", "/ties", "/stderr")
"""Ends of keys of an evaluation that are no score."""


@dataclass(frozen=True)
class ColumnGroup:
    """Neighbouring columns under one heading; `rows` has a cell for each column, or is None where nothing applies."""

    heading: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...] | None, ...]


@dataclass(frozen=True)
class Table:
    """Cells as text: the names of the rows, and groups of columns that all have as many rows."""

    names: tuple[str, ...]
    groups: tuple[ColumnGroup, ...]


def stage_table(record: RunRecord) -> Table:
    """A row for each stage and then for each baseline.

    Words, tokens and training FLOPs are totals since the start of the run at the stage's last step; losses are in nats
    per token.
    """
    stages = record.stages
    progress = [
        (count(stage.last_step), count(stage.words), count(stage.tokens), scientific(stage.training_flops))
        for stage in stages
    ]
    without_progress = [None] * len(record.baselines)
    held_out = [*(stage.held_out for stage in stages), *record.baselines.values()]
    names = [f"stage {stage.number}: {count(stage.parameters)} parameters" for stage in stages]
    return Table(
        names=(*names, *record.baselines),
        groups=(
            ColumnGroup("training", ("last step", "words", "tokens", "FLOPs"), (*progress, *without_progress)),
            _held_out_group("overall", [row and (row.loss, row.bits_per_byte) for row in held_out]),
            *(_held_out_group(level, [row and row.by_level.get(level) for row in held_out]) for level in record.levels),
        ),
    )


def course_table(record: RunRecord) -> Table:
    """A row for each stage: how the training went, at the stage's last step."""
    rows = [
        (
            scientific(stage.learning_rate),
            decimals(stage.gradient_norm),
            MISSING if stage.tokens_per_second is None else short_number(stage.tokens_per_second),
            duration(stage.seconds),
        )
        for stage in record.stages
    ]
    columns = ("learning rate", "gradient norm", "tokens/s", "time since the start")
    return Table(
        tuple(f"stage {stage.number}" for stage in record.stages), (ColumnGroup("course", columns, tuple(rows)),)
    )


def evaluation_table(record: RunRecord) -> Table | None:
    """A row for each task, and a group of columns for each live evaluation, in percent; None without any."""
    lines = [line for line in record.evaluations if _tasks_of(line)]
    names = tuple(dict.fromkeys(task for line in lines for task in _tasks_of(line)))
    if not names:
        return None
    groups = (
        ColumnGroup(f"step {count(line['iteration_step'])}", ("accuracy", "stderr"), tuple(_scores_of(line, names)))
        for line in lines
    )
    return Table(names, tuple(groups))


def _tasks_of(line: Line) -> list[str]:
    """Tasks of ours and their groups, as "TASK" and "TASK/GROUP"."""
    names = (key.removeprefix(keys.EVALUATION) for key in line if key.startswith(keys.EVALUATION))
    return [name for name in names if name not in ("seconds", "failed") and not name.endswith(EVALUATION_DETAILS)]


def _scores_of(line: Line, names: Sequence[str]) -> Iterator[tuple[str, str]]:
    for name in names:
        accuracy, error = (line.get(keys.of_part(key, name)) for key in (keys.SCORE, keys.SCORE_ERROR))
        yield _percent(accuracy), "" if error is None else _percent(error)


def _percent(share: float | None) -> str:
    return MISSING if share is None else f"{100 * share:.2f}"


def _held_out_group(heading: str, rows: list[tuple[float | None, float | None] | None]) -> ColumnGroup:
    cells = tuple(
        (decimals(loss), decimals(bits_per_byte)) for loss, bits_per_byte in (row or (None, None) for row in rows)
    )
    return ColumnGroup(heading, ("loss", "bits/byte"), cells)


def to_text(table: Table, width: int | None = None) -> str:
    """The table for a terminal, `width` characters a line; a group is never torn apart (`console.side_by_side`)."""
    return side_by_side(table.names, [(group.heading, group.columns, group.rows) for group in table.groups], width)


def verdict(record: RunRecord) -> str:
    """One plain sentence: the final held-out loss and how it compares with the trigram baseline."""
    if not record.validations:
        return "The run measured no held-out loss, so there is nothing to compare with the baselines."
    final = HeldOut.from_line(record.validations[-1])
    if final.loss is None or not math.isfinite(final.loss):
        return "The final held-out loss is not a finite number, so it cannot be compared with the baselines."
    loss = f"The final held-out loss, {final.loss:.3f} nats per token,"
    trigram = record.baselines.get("trigram")
    if trigram is None or trigram.loss is None:
        return f"{loss} stands alone: the run's folder has no trigram baseline to compare it with."
    difference = final.loss - trigram.loss
    if round(abs(difference), 3) == 0:
        return f"{loss} equals the trigram baseline."
    side = "below" if difference < 0 else "above"
    share = f"{100 * abs(difference) / trigram.loss:.1f} %"
    return f"{loss} is {abs(difference):.3f} ({share}) {side} the trigram baseline, {trigram.loss:.3f}."


def growth_sentence(event: GrowthEvent) -> str:
    """When, how and why the model grew, and what that did to its loss on one and the same batch (nats per token)."""
    sentence = f"Step {count(event.step)}: {count(event.parameters_before)} → {count(event.parameters)} parameters"
    if event.operator:
        sentence += f" by {event.operator}"
    if event.reason:
        sentence += f" ({event.reason})"
    if event.loss_before is None or event.loss_after is None:
        return f"{sentence}. The loss was not measured."
    difference = f"{event.loss_after - event.loss_before:+.4f}".replace("-", "−")
    return f"{sentence}. Loss {event.loss_before:.4f} before, {event.loss_after:.4f} after ({difference})."


def footnotes(record: RunRecord) -> list[str]:
    """Notes to the table: where a loss was measured, and which lines of the run's files were left out."""
    measured_earlier = [
        f"The held-out loss of stage {stage.number} was measured at step {count(stage.held_out_step)}, "
        f"not at its last step, {count(stage.last_step)}."
        for stage in record.stages
        if stage.held_out_step not in (None, stage.last_step)
    ]
    failed = [
        f"The evaluation after step {count(line[keys.STEP])} failed: {line[keys.EVALUATION_FAILED]}."
        for line in record.evaluations
        if keys.EVALUATION_FAILED in line
    ]
    return [*reading_sentences(record), *measured_earlier, *failed, *record.notes]


def reading_sentences(record: RunRecord) -> list[str]:
    """Words read until now, as BabyLM counts them, and words of the whole run; nothing without a plan of it."""
    reading = record.reading
    if reading is None:
        return []
    seen = record.steps[-1].get(keys.WORDS)
    return [
        f"Words are those between whitespace, repeats counted: {count(seen)} seen so far of {count(reading.words)} "
        f"that the whole run reads, {count(reading.unique_words)} unique words in {count(reading.documents)} "
        f"documents, {reading.epochs:.2f} epochs."
    ]


def count(value: float | None) -> str:
    """A whole number with thousands separated by commas."""
    return MISSING if value is None else f"{round(value):,}"


def scientific(value: float | None) -> str:
    return MISSING if value is None else f"{value:.2e}".replace("e+", "e")


def duration(seconds: float | None) -> str:
    """Hours, minutes and seconds."""
    if seconds is None:
        return MISSING
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}"


def decimals(value: float | None) -> str:
    return MISSING if value is None else f"{value:.3f}"
