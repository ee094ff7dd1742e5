"""Reads back a run's folder as steps, validations, growth events and stages.

A run's folder holds `config.yaml` (the resolved configuration), `metrics.jsonl` (one JSON object a line, see below),
`stages.json` (the stages as planned before training), `reading.json` (what the plan reads, in words) and
`baselines.json` (n-gram models on the same held-out text). The last three may be missing.

A line of `metrics.jsonl` has an `iteration_step` and is one of four kinds. A *step* is numbered from 1 and has
`consumed_tokens` and, where the writing process knows it, `lm_loss`. A *growth event* has `growth/event`. A
*validation* has `val/loss`; most stand in the line of a step, but the one before the first step and those before growth
(with `growth/stage_ends`) are lines of their own. A live *evaluation* is a line with `eval/` keys. A number that
was not finite is null.
Losses are in nats per token; `training_flops`, `consumed_tokens` and `consumed_words` are totals since the start of
the run.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from statistics import median
from typing import Any

from tokenformer.config.building import convert
from tokenformer.config.loading import read_yaml
from tokenformer.config.stored_records import read_json, read_record
from tokenformer.errors import UserError
from tokenformer.run_folder import keys
from tokenformer.run_folder.metrics import Line, stored_lines
from tokenformer.run_folder.names import BASELINES, CONFIG, METRICS, READING, STAGES
from tokenformer.run_folder.reading import Reading


@dataclass(frozen=True)
class HeldOut:
    """Loss in nats per token and in bits per byte, over all held-out tokens and for each difficulty level.

    `loss` or `bits_per_byte` is None where it was not measured; `by_level` maps a level to the pair of the two.
    """

    loss: float | None
    bits_per_byte: float | None
    by_level: dict[str, tuple[float | None, float | None]]

    @classmethod
    def from_line(cls, line: Line) -> HeldOut:
        levels = dict.fromkeys(
            key.removeprefix(prefix)
            for prefix in (f"{keys.HELD_OUT_LOSS}/", f"{keys.BITS_PER_BYTE}/")
            for key in line
            if key.startswith(prefix)
        )
        return cls(
            line.get(keys.HELD_OUT_LOSS),
            line.get(keys.BITS_PER_BYTE),
            {
                level: (
                    line.get(keys.of_part(keys.HELD_OUT_LOSS_OF, level)),
                    line.get(keys.of_part(keys.BITS_PER_BYTE_OF, level)),
                )
                for level in levels
            },
        )


@dataclass(frozen=True)
class GrowthEvent:
    """One growth of the model, after `step` steps; what the line does not tell is None. `line` is the whole line."""

    number: int
    step: int
    line: Line = field(repr=False)

    @property
    def operator(self) -> str | None:
        return self.line.get(keys.OPERATOR)

    @property
    def reason(self) -> str | None:
        return self.line.get(keys.REASON)

    @property
    def loss_before(self) -> float | None:
        return self.line.get(keys.LOSS_BEFORE)

    @property
    def loss_after(self) -> float | None:
        return self.line.get(keys.LOSS_AFTER)

    @property
    def parameters_before(self) -> int | None:
        return self.line.get(keys.PARAMETERS_BEFORE)

    @property
    def parameters(self) -> int | None:
        return self.line.get(keys.PARAMETERS)


@dataclass(frozen=True)
class Stage:
    """The steps between two growth events (or the start and the end of the run).

    `number` counts from 1. `words`, `tokens` and `training_flops` are totals since the start of the run at the stage's
    last step. `held_out` is the last validation of the stage, made at `held_out_step`; both are None without one.
    `learning_rate`, `gradient_norm` and `seconds` (since the start of the run) are of its last training step,
    `tokens_per_second` is the median of its steps.
    """

    number: int
    parameters: int | None
    last_step: int
    words: float | None
    tokens: int | None
    training_flops: float | None
    held_out: HeldOut | None
    held_out_step: int | None
    learning_rate: float | None = None
    gradient_norm: float | None = None
    tokens_per_second: float | None = None
    seconds: float | None = None


@dataclass(frozen=True)
class RunRecord:
    """A run's folder, read. Open one with `RunRecord.open`.

    `lines` are the lines of `metrics.jsonl` that count, in order, unknown keys kept; lines that are not steps are
    given the `keys.PROGRESS` of the step before them, 0 before the first step. `baselines` maps a name (`unigram`, …)
    to its held-out loss. `planned_stages` is `stages.json` as it stands, None without one, and so is `reading`.
    `notes` says in plain words what was left out.
    """

    folder: Path
    config: dict[str, Any]
    config_text: str
    lines: list[Line]
    planned_stages: list[dict[str, Any]] | None
    reading: Reading | None
    baselines: dict[str, HeldOut]
    notes: list[str]

    @classmethod
    def open(cls, folder: Path) -> RunRecord:
        """Reads the folder that a run wrote, finished or not.

        A line of `metrics.jsonl` that is not a JSON object with an `iteration_step` (the last one of a process that
        was killed) is left out with a note, and so are steps that a resumed run made again. Raises UserError if
        `folder` is not a run's folder, has no training step yet, or holds a file that cannot be read.
        """
        folder = Path(folder)
        for name in (CONFIG, METRICS):
            if not (folder / name).is_file():
                raise UserError(
                    f"{folder} is not the folder of a run: it has no {name}. "
                    "Give the folder that `tokenformer train` wrote, such as runs/NAME."
                )
        notes: list[str] = []
        lines = _drop_repeated_steps(_read_lines(folder / METRICS, notes), notes)
        if not any(map(_is_step, lines)):
            raise UserError(
                f"{folder / METRICS} has no training step yet: "
                "wait until the run has logged one, or start it with `tokenformer train`."
            )
        reading = folder / READING
        return cls(
            folder=folder,
            config=read_yaml(folder / CONFIG),
            config_text=(folder / CONFIG).read_text(encoding="utf-8"),
            lines=_with_progress(lines),
            planned_stages=_read_stages(folder / STAGES),
            reading=read_record(reading, Reading) if reading.is_file() else None,
            baselines=_read_baselines(folder / BASELINES),
            notes=notes,
        )

    @property
    def name(self) -> str:
        return self.folder.resolve().name

    @cached_property
    def steps(self) -> list[Line]:
        """The lines of training steps, at least one."""
        return [line for line in self.lines if _is_step(line)]

    @cached_property
    def validations(self) -> list[Line]:
        """The lines with a held-out loss, those of steps among them."""
        return [line for line in self.lines if line.get(keys.HELD_OUT_LOSS) is not None]

    @cached_property
    def evaluations(self) -> list[Line]:
        """The lines of live evaluations; `eval/failed` says why one failed, `eval/TASK` is an accuracy."""
        return [line for line in self.lines if _is_evaluation(line)]

    @cached_property
    def growth_events(self) -> list[GrowthEvent]:
        return [GrowthEvent(line[keys.EVENT], line[keys.STEP], line) for line in self.lines if _is_growth(line)]

    @cached_property
    def stages(self) -> list[Stage]:
        """The stages in order; one more than there are growth events.

        A step belongs to the stage in which its line stands in `metrics.jsonl`: before a growth event's line it was
        made by the smaller model.
        """
        groups: list[list[Line]] = [[]]
        for line in self.lines:
            if _is_growth(line):
                groups.append([])
            groups[-1].append(line)
        before_growth = [event.parameters_before for event in self.growth_events]
        return [
            _stage(number, group, parameters)
            for number, (group, parameters) in enumerate(zip(groups, [*before_growth, None], strict=True), start=1)
        ]

    @cached_property
    def levels(self) -> list[str]:
        """The difficulty levels of the held-out text, in the order in which they were written."""
        measured = [*map(HeldOut.from_line, self.validations), *self.baselines.values()]
        return list(dict.fromkeys(level for held_out in measured for level in held_out.by_level))


def _is_step(line: Line) -> bool:
    is_other = _is_growth(line) or keys.STAGE_ENDS in line or _is_evaluation(line)
    return not is_other and line[keys.STEP] > 0 and (keys.LOSS in line or keys.TOKENS in line)


def _is_evaluation(line: Line) -> bool:
    return any(key.startswith(keys.EVALUATION) for key in line)


def _is_growth(line: Line) -> bool:
    return keys.EVENT in line


def _stage(number: int, lines: list[Line], parameters: int | None) -> Stage:
    last = lines[-1]
    sizes = [line[keys.PARAMETERS] for line in lines if keys.PARAMETERS in line]
    validations = [line for line in lines if line.get(keys.HELD_OUT_LOSS) is not None]
    steps = [line for line in lines if _is_step(line)]
    speeds = [line[keys.TOKENS_PER_SECOND] for line in steps if line.get(keys.TOKENS_PER_SECOND) is not None]
    last_step = steps[-1] if steps else {}
    return Stage(
        number=number,
        parameters=sizes[-1] if sizes else parameters,
        last_step=last[keys.STEP],
        words=last.get(keys.WORDS),
        tokens=last.get(keys.TOKENS),
        training_flops=last.get(keys.FLOPS),
        held_out=HeldOut.from_line(validations[-1]) if validations else None,
        held_out_step=validations[-1][keys.STEP] if validations else None,
        learning_rate=last_step.get(keys.LEARNING_RATE),
        gradient_norm=last_step.get(keys.GRADIENT_NORM),
        tokens_per_second=median(speeds) if speeds else None,
        seconds=last_step.get(keys.SECONDS),
    )


def _read_lines(path: Path, notes: list[str]) -> list[Line]:
    stored = stored_lines(path)
    for number, line in enumerate(stored, start=1):
        if line.content is None:
            which = "the last line" if number == len(stored) else f"line {number}"
            notes.append(f"{path.name}: {which} is incomplete and was left out; was the run stopped while writing it?")
    return [line.content for line in stored if line.content is not None]


def _drop_repeated_steps(lines: list[Line], notes: list[str]) -> list[Line]:
    """Drops the lines that a run logged before it was resumed from an earlier checkpoint and did these steps again."""
    kept: list[Line] = []
    for line in lines:
        del kept[_first_superseded(kept, line) :]
        kept.append(line)
    if len(kept) < len(lines):
        notes.append(
            f"{METRICS}: the run was resumed from an earlier checkpoint; {len(lines) - len(kept)} lines that it "
            "had logged before and then logged anew were left out."
        )
    return kept


def _first_superseded(kept: list[Line], line: Line) -> int:
    """The index in `kept` from which on `line` takes the place of what was logged; `len(kept)` if it follows on."""
    first = len(kept)
    for index in reversed(range(len(kept))):
        earlier = kept[index]
        if earlier[keys.STEP] < line[keys.STEP]:
            break
        is_later = earlier[keys.STEP] > line[keys.STEP]
        is_same_step = any(is_kind(earlier) and is_kind(line) for is_kind in (_is_step, _is_evaluation))
        is_same_growth = _is_growth(line) and earlier.get(keys.EVENT) == line[keys.EVENT]
        if is_later or is_same_step or is_same_growth:
            first = index
    return first


def _with_progress(lines: list[Line]) -> list[Line]:
    progress = dict.fromkeys(keys.PROGRESS, 0)
    complete = []
    for line in lines:
        if _is_step(line):
            progress = {key: line.get(key) for key in keys.PROGRESS}
        complete.append(progress | line)
    return complete


def _read_stages(path: Path) -> list[dict[str, Any]] | None:
    return convert(read_json(path), list[dict[str, Any]], "the file", str(path)) if path.is_file() else None


def _read_baselines(path: Path) -> dict[str, HeldOut]:
    """The entries that hold a loss; the file also tells what they were measured on."""
    if not path.is_file():
        return {}
    measured = read_json(path)
    if isinstance(measured, dict):
        measured = {name: values for name, values in measured.items() if name != "measured_on"}
    try:
        losses = convert(measured, dict[str, dict[str, float | None]], "the file", str(path))
    except UserError as error:
        raise UserError(f"{error}: move the file away, and `tokenformer report` measures again") from error
    return {name: HeldOut.from_line(values) for name, values in losses.items() if keys.HELD_OUT_LOSS in values}
