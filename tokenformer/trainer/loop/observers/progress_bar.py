"""Shows a person how far a run is."""

import sys
import time
from typing import TYPE_CHECKING

from tokenformer.console import SECONDS_BETWEEN_LINES, printable, short_number
from tokenformer.observers import Line, Observer
from tokenformer.run_folder import keys

SAMPLES = keys.of_part(keys.SAMPLE, "")

if TYPE_CHECKING:
    from rich.progress import Progress


class ProgressBar(Observer):
    """Step, loss, complexity, size and time left; a bar in a terminal, a line now and then elsewhere."""

    bar: "Progress | None" = None

    def before_training(self, trainer):
        self.first, self.steps = trainer.start_iteration_step, trainer.config.tokens.train_steps
        self.started = self.last_line = time.monotonic()
        if trainer.is_writer and sys.stderr.isatty():
            self._start_bar()

    def log(self, trainer, line):
        if keys.EVENT in line:
            self._say(event_in_words(line))
        elif keys.EVALUATION_SECONDS in line:
            self._say(scores_in_words(line))
        elif keys.LOSS in line:
            self._update(line)

    def close(self, trainer):
        if self.bar is not None:
            self.bar.stop()

    def _start_bar(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = [TextColumn("step"), MofNCompleteColumn(), BarColumn(), TextColumn("{task.description}")]
        self.bar = Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True))
        self.bar.add_task("", total=self.steps, completed=self.first)
        self.bar.start()

    def _update(self, line: Line) -> None:
        step = line[keys.STEP]
        for number, text in sorted((key, text) for key, text in line.items() if key.startswith(SAMPLES)):
            self._say(f"step {step}, {number}: {printable(text)}")
        if self.bar is not None:
            self.bar.update(self.bar.task_ids[0], completed=step, description=step_in_words(line))
        elif (
            step == self.steps
            or keys.HELD_OUT_LOSS in line
            or time.monotonic() - self.last_line > SECONDS_BETWEEN_LINES
        ):
            self.last_line = time.monotonic()
            left = (self.last_line - self.started) / max(1, step - self.first) * (self.steps - step)
            self._say(f"step {step}/{self.steps}  {step_in_words(line)}  {left:.0f} s left")

    def _say(self, message: str) -> None:
        """Prints a message that stays."""
        if self.bar is not None:
            self.bar.console.print(message, markup=False)
        else:
            print(message, file=sys.stderr, flush=True)


def step_in_words(line: Line) -> str:
    parts = [f"loss {line[keys.LOSS]:.3f}" if keys.LOSS in line else "no step"]
    if keys.HELD_OUT_LOSS in line:
        parts.append(f"held-out {line[keys.HELD_OUT_LOSS]:.3f}")
    parts.append(f"complexity {line[keys.COMPLEXITY]:.2f}")
    parts.append(f"{short_number(line[keys.PARAMETERS])} parameters")
    for key, name in (
        (keys.LEARNING_RATE, "rate"),
        (keys.GRADIENT_NORM, "gradient"),
        (keys.TOKENS_PER_SECOND, "tokens/s"),
    ):
        if key in line:
            parts.append(f"{name} {short_number(line[key])}")
    return "  ".join(parts)


def event_in_words(line: Line) -> str:
    return (
        f"step {line[keys.STEP]}: {line[keys.REASON]}; "
        f"{line[keys.PARAMETERS_BEFORE]:,} -> {line[keys.PARAMETERS]:,} parameters, "
        f"held-batch loss {line[keys.LOSS_BEFORE]:.6f} -> {line[keys.LOSS_AFTER]:.6f}"
    )


def scores_in_words(line: Line) -> str:
    if keys.EVALUATION_FAILED in line:
        return f"step {line[keys.STEP]}: the evaluation failed: {line[keys.EVALUATION_FAILED]}"
    tasks = {key.removeprefix(keys.EVALUATION): value for key, value in line.items() if key.startswith(keys.EVALUATION)}
    scores = (f"{name} {100 * value:.1f} %" for name, value in tasks.items() if f"{name}/items" in tasks)
    return f"step {line[keys.STEP]}: {', '.join(scores)}"
