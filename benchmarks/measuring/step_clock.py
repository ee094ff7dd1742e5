"""Where the time of a training step goes: seconds by phase, and what is left of the whole step."""

import statistics
import time
from collections import defaultdict
from collections.abc import Callable

PHASES = ("forward", "backward", "gradients", "optimizer")


class StepClock:
    """Sums the time of functions by phase, step by step."""

    def __init__(self):
        self.steps: list[dict[str, float]] = []
        self._running: dict[str, float] = defaultdict(float)
        self._started: float | None = None

    def timed(self, phase: str, function: Callable) -> Callable:
        """The function, whose time counts for the phase."""

        def watched(*arguments, **options):
            start = time.perf_counter()
            try:
                return function(*arguments, **options)
            finally:
                self._running[phase] += time.perf_counter() - start

        return watched

    def step_ends(self) -> None:
        """Between two calls of this lies one step; what came before the first is forgotten."""
        now = time.perf_counter()
        if self._started is not None:
            self.steps.append({"step": now - self._started, **self._running})
        self._running.clear()
        self._started = now

    def milliseconds(self, warmup: int) -> dict[str, float]:
        """Medians over the steps after the first `warmup`: of the step, of each phase, and of the rest."""
        found = {name: [step.get(name, 0.0) for step in self.steps[warmup:]] for name in ("step", *PHASES)}
        found["rest"] = [step["step"] - sum(step.get(name, 0.0) for name in PHASES) for step in self.steps[warmup:]]
        return {name: 1000 * statistics.median(values) for name, values in found.items()}
