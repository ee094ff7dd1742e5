"""Shows a person how far a run is."""

import sys
import time

from tokenformer.console import SECONDS_BETWEEN_LINES, short_number
from tokenformer.trainer.loop.observers.observer import Line, Observer


class ProgressBar(Observer):
    """Step, loss, complexity, size and time left; a bar in a terminal, a line now and then elsewhere."""

    bar = task = None

    def before_training(self, trainer):
        self.first, self.steps = trainer.start_iteration_step, trainer.config.tokens.train_steps
        self.started = self.last_line = time.monotonic()
        if trainer.is_writer and sys.stderr.isatty():
            self._start_bar()

    def log(self, trainer, line):
        if "growth/event" in line:
            self._say(event_in_words(line))
        elif "eval/seconds" in line:
            self._say(scores_in_words(line))
        elif "lm_loss" in line:
            self._update(line)

    def close(self, trainer):
        if self.bar is not None:
            self.bar.stop()

    def _start_bar(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = [TextColumn("step"), MofNCompleteColumn(), BarColumn(), TextColumn("{task.description}")]
        self.bar = Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True))
        self.task = self.bar.add_task("", total=self.steps, completed=self.first)
        self.bar.start()

    def _update(self, line: Line) -> None:
        step = line["iteration_step"]
        if self.bar is not None:
            self.bar.update(self.task, completed=step, description=step_in_words(line))
        elif step == self.steps or "val/loss" in line or time.monotonic() - self.last_line > SECONDS_BETWEEN_LINES:
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
    parts = [f"loss {line['lm_loss']:.3f}"]
    if "val/loss" in line:
        parts.append(f"held-out {line['val/loss']:.3f}")
    parts.append(f"complexity {line['curriculum/complexity']:.2f}")
    parts.append(f"{short_number(line['growth/parameters'])} parameters")
    return "  ".join(parts)


def event_in_words(line: Line) -> str:
    return (
        f"step {line['iteration_step']}: {line['growth/reason']}; "
        f"{line['growth/parameters_before']:,} -> {line['growth/parameters']:,} parameters, "
        f"held-batch loss {line['growth/loss_before']:.6f} -> {line['growth/loss_after']:.6f}"
    )


def scores_in_words(line: Line) -> str:
    if "eval/failed" in line:
        return f"step {line['iteration_step']}: the evaluation failed: {line['eval/failed']}"
    tasks = {key.removeprefix("eval/"): value for key, value in line.items() if key.startswith("eval/")}
    scores = (f"{name} {100 * value:.1f} %" for name, value in tasks.items() if f"{name}/items" in tasks)
    return f"step {line['iteration_step']}: {', '.join(scores)}"
