"""The progress of a run that trains, for people."""

import sys
import time

from tokenformer.console import SECONDS_BETWEEN_LINES, short_number


class ProgressBar:
    """Step, loss, complexity, size and time left; a bar in a terminal, a line now and then elsewhere."""

    def __init__(self, steps: int, done: int, visible: bool):
        self.steps, self.first = steps, done
        self.started = self.last_line = time.monotonic()
        self.bar = self.task = None
        self.visible = visible
        if visible and sys.stderr.isatty():
            self._start_bar(done)

    def _start_bar(self, done: int) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = [TextColumn("step"), MofNCompleteColumn(), BarColumn(), TextColumn("{task.description}")]
        self.bar = Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True))
        self.task = self.bar.add_task("", total=self.steps, completed=done)
        self.bar.start()

    @staticmethod
    def _describe(line: dict) -> str:
        parts = [f"loss {line['lm_loss']:.3f}"] if "lm_loss" in line else []
        if "val/loss" in line:
            parts.append(f"held-out {line['val/loss']:.3f}")
        parts.append(f"complexity {line['curriculum/complexity']:.2f}")
        parts.append(f"{short_number(line['growth/parameters'])} parameters")
        return "  ".join(parts)

    def update(self, line: dict) -> None:
        """Shows a line of metrics."""
        if not self.visible:
            return
        step = line["iteration_step"]
        if self.bar is not None:
            self.bar.update(self.task, completed=step, description=self._describe(line))
        elif step == self.steps or "val/loss" in line or time.monotonic() - self.last_line > SECONDS_BETWEEN_LINES:
            self.last_line = time.monotonic()
            left = (self.last_line - self.started) / max(1, step - self.first) * (self.steps - step)
            print(f"step {step}/{self.steps}  {self._describe(line)}  {left:.0f} s left", file=sys.stderr, flush=True)

    def say(self, message: str) -> None:
        """Prints a message that stays."""
        if self.bar is not None:
            self.bar.console.print(message, markup=False)
        elif self.visible:
            print(message, file=sys.stderr, flush=True)

    def close(self) -> None:
        if self.bar is not None:
            self.bar.stop()
