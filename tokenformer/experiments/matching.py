"""Matches budgets: finds steps, size and growth steps of each run of an arm, as settings of a config."""

import json
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tokenformer.config.loading import apply_assignment, read_extended
from tokenformer.errors import UserError
from tokenformer.experiments.grid import Grid

TOLERANCE = 0.01
SIZE_KEYS = {
    "tokenformer": ("qkv_tokens", "output_tokens", "feed_forward_tokens"),
    "llama": ("intermediate_size",),
}
"""The keys that are scaled together when the size of a model is solved for."""

CORPUS = "data_stages.0.data.dataset.dataset_folder"
_SCHEDULER = "optimizer.learning_rate_scheduler"


class NotKnownYet(Exception):
    """A run cannot be described before others are finished; the message names them."""


@dataclass(frozen=True)
class Budget:
    """The planned cost and reading of a run."""

    steps: int
    words: float
    flops: float
    parameters: int


@dataclass(frozen=True)
class PlannedStages:
    """The stages of a run, as planned: parameters of each, the steps at which they end, and tokens a step."""

    sizes: tuple[int, ...]
    growth_steps: tuple[int, ...]
    steps: int
    tokens_per_step: int


def assignment(key: str, value: Any) -> str:
    """ "key=value" as `--set` reads it."""
    return f"{key}={json.dumps(value)}"


class Matching:
    """Turns arms into the settings of ordinary runs.

    Args:
        grid: the grid.
        data: the folder below which the corpora of the grid lie.
        growth_steps: (arm, seed) -> the steps at which that run grew, or None while it is not finished.
        tuned: arm -> the value that its trials chose, or None while they are not finished.
    """

    def __init__(self, grid: Grid, data: Path, growth_steps, tuned):
        self.grid, self.data = grid, data
        self.growth_steps, self.tuned = growth_steps, tuned
        self._prepared: dict[tuple, Any] = {}
        self._shapes: dict[str, list[str]] = {}

    def settings(self, arm: str, seed: int, trial: Any = None) -> list[str]:
        """The settings of a run over the base config, in the order in which they apply.

        Args:
            trial: the value of the tuned key, for a trial.

        Raises:
            NotKnownYet: other runs have to be finished first.
            UserError: a setting is wrong, or a budget cannot be matched.
        """
        found = [*self._of_arm(arm, seed), *self._growth(arm, seed), *self._shape(arm)]
        tuning = self.grid.content.tuning
        if tuning is not None:
            found.append(assignment(tuning.key, self._tuned_value(arm) if trial is None else trial))
        return found

    def budget(self, arm: str, seed: int) -> Budget:
        """The cost of a run of the arm; raises as `settings` does."""
        run = self._run([*self._of_arm(arm, seed), *self._growth(arm, seed), *self._shape(arm)])
        return self._budget(run, arm, seed)

    def planned(self, arm: str, seed: int) -> PlannedStages:
        """The stages of a run of the arm; raises as `settings` does."""
        run = self._run([*self._of_arm(arm, seed), *self._growth(arm, seed), *self._shape(arm)])
        events = self._steps_of_growth(arm, seed) if run.growth is not None else []
        return PlannedStages(
            sizes=tuple(stage.parameters for stage in run.stages()),
            growth_steps=tuple(events),
            steps=run.config.tokens.train_steps,
            tokens_per_step=run.config.tokens_per_step,
        )

    def check_match(self, arm: str, seed: int) -> None:
        """Raises UserError where what is to be equal differs by more than TOLERANCE."""
        for key, other in self.grid.content.arms[arm].match.items():
            mine, theirs = getattr(self.budget(arm, seed), key), getattr(self.budget(other, seed), key)
            if abs(mine / theirs - 1) > TOLERANCE:
                raise UserError(
                    f"{self.grid.path}: {arm}, seed {seed}, has {mine:.4g} {key} and {other} has {theirs:.4g}, which "
                    f"is not equal to {TOLERANCE:.0%}; allow more steps, so that they can be matched more finely"
                )

    def _of_arm(self, arm: str, seed: int) -> list[str]:
        """The settings that are written in the grid, and the seed."""
        content = self.grid.content
        values = {**content.settings, **content.arms[arm].settings}
        ordering = values.get("curriculum.ordering")
        if content.tail and ordering is not None:
            inner = ordering if isinstance(ordering, dict) else {"name": ordering}
            share = round(1 - content.tail, 6)
            values["curriculum.ordering"] = {"name": "warm_up", "share": share, "ordering": inner}
        seeds = [assignment("general.seed", seed), assignment("data_stages.0.data.seed", seed)]
        return [*(assignment(key, value) for key, value in values.items()), *seeds]

    def _growth(self, arm: str, seed: int) -> list[str]:
        other = self.grid.content.arms[arm].growth.get("steps_of")
        if other is None:
            return []
        trigger = {"name": "schedule", "steps": self._steps_of_growth(other, seed)}
        free = {"growth.earliest_step": 0, "growth.latest_step": None, "growth.minimum_steps_between": 1}
        return [assignment("growth.trigger", trigger), *(assignment(key, value) for key, value in free.items())]

    def _steps_of_growth(self, arm: str, seed: int) -> list[int]:
        """The steps after which a run grows, by its plan, or by what it did where losses decide."""
        run = self._run([*self._of_arm(arm, seed), *self._growth(arm, seed), *self._shape(arm)])
        planned = [stage.step for stage in run.stages()[1:]]
        if None not in planned:
            return planned
        done = self.growth_steps(arm, seed)
        if done is None:
            raise NotKnownYet(f"{arm}/{seed}, whose losses decide when it grows")
        return list(done)

    def _budget(self, run: Any, arm: str, seed: int) -> Budget:
        events = self._steps_of_growth(arm, seed) if run.growth is not None else []
        steps = run.config.tokens.train_steps
        return Budget(
            steps=steps,
            words=run.progress(steps, events).words,
            flops=run.training_flops(steps, events),
            parameters=run.stages()[-1].parameters,
        )

    def _shape(self, arm: str) -> list[str]:
        """Steps, schedule and solved sizes: the same for every seed."""
        if arm not in self._shapes:
            self._shapes[arm] = self._found_shape(arm)
        return self._shapes[arm]

    def _found_shape(self, arm: str) -> list[str]:
        match = self.grid.content.arms[arm].match
        if not match:
            seed = self.grid.content.seeds[0]
            return self._with_steps(self._run(self._of_arm(arm, seed)).config.tokens.train_steps)
        if len(match) == 2:
            steps = self._with_steps(self._steps_for(arm, "words", match["words"]))
            return [*steps, *self._sizes_for(arm, steps, self._target("flops", match["flops"]))]
        ((key, other),) = match.items()
        return self._with_steps(self._steps_for(arm, key, other))

    def _target(self, key: str, arm: str) -> float:
        return statistics.mean(getattr(self.budget(arm, seed), key) for seed in self.grid.content.seeds)

    def _with_steps(self, steps: int) -> list[str]:
        """The settings that follow from the number of steps."""
        schedule = self.grid.content.schedule
        decay = max(1, round(schedule.decay * steps))
        values = {
            "curriculum.budget.words": None,
            "tokens.train_steps": steps,
            "tokens.val_check_interval": max(1, -(-steps // schedule.checks)),
            f"{_SCHEDULER}.lr_warmup_steps": schedule.warmup_steps,
            f"{_SCHEDULER}.lr_decay_starting_step": steps - decay,
            f"{_SCHEDULER}.lr_decay_steps": decay,
            f"{_SCHEDULER}.min_decay_lr": schedule.least_rate,
        }
        if schedule.decay == 0:
            values = {
                key: None if key.endswith(("_step", "decay_steps", "_lr")) else value for key, value in values.items()
            }
        return [assignment(key, value) for key, value in values.items()]

    def _steps_for(self, arm: str, key: str, other: str) -> int:
        """The number of steps with which an arm of a given size meets a target."""
        seed = self.grid.content.seeds[0]
        like = self.budget(other, seed)
        target = self._target(key, other)

        def reached(steps: int) -> float:
            settings = [*self._of_arm(arm, seed), *self._growth(arm, seed), *self._with_steps(steps)]
            run = self._run(settings)
            events = [step for step in self._events(run, arm, seed) if step < steps]
            return run.training_flops(steps, events) if key == "flops" else run.progress(steps, events).words

        # Equal steps keep arms paired: they read the same documents.
        is_met = abs(reached(like.steps) / target - 1) < TOLERANCE / 2
        return like.steps if is_met else _solved(reached, target, like.steps)

    def _events(self, run: Any, arm: str, seed: int) -> list[int]:
        if run.growth is None:
            return []
        other = self.grid.content.arms[arm].growth.get("steps_of")
        if other is not None:
            return self._steps_of_growth(other, seed)
        planned = [stage.step for stage in run.stages()[1:]]
        if None in planned:
            raise UserError(f"{self.grid.path}: losses decide when {arm} grows, so its steps cannot be solved for")
        return planned

    def _sizes_for(self, arm: str, steps: list[str], target: float) -> list[str]:
        """The sizes, in their given ratio, with which an arm of given steps meets a target of FLOPs."""
        seed = self.grid.content.seeds[0]
        start = self._run([*self._of_arm(arm, seed), *steps])
        keys, block = SIZE_KEYS[start.config.model_type], start.config.model.model_config
        if start.growth is not None:
            raise UserError(f"{self.grid.path}: {arm} grows; the size of an arm that grows is not solved for")
        given = {key: block[key] for key in keys}
        unit = min(given.values())

        def settings(size: int) -> list[str]:
            return [
                assignment(f"model.model_config.{key}", max(1, round(value * size / unit)))
                for key, value in given.items()
            ]

        def reached(size: int) -> float:
            run = self._run([*self._of_arm(arm, seed), *steps, *settings(size)])
            return run.training_flops(run.config.tokens.train_steps, [])

        return settings(_solved(reached, target, unit))

    def _tuned_value(self, arm: str) -> Any:
        source = self.grid.content.arms[arm].tuned_as or arm
        value = self.tuned(source)
        if value is None:
            raise NotKnownYet(f"the trials of {source}")
        return value

    def _run(self, settings: Sequence[str]):
        """The prepared run of these settings; of equal ones the same."""
        key = tuple(settings)
        if key not in self._prepared:
            self._prepared[key] = self._prepare(settings)
        return self._prepared[key]

    def _prepare(self, settings: Sequence[str]):
        from tokenformer.trainer.bridge.bootstrap import bootstrap
        from tokenformer.trainer.run.prepared_run import PreparedRun

        bootstrap()
        return PreparedRun.from_file(self.grid.base, [*settings, self.corpus_setting(settings)])

    def corpus_setting(self, settings: Sequence[str]) -> str:
        """The setting that says where the corpus of a run lies on this machine."""
        content = read_extended(self.grid.base)
        for setting in settings:
            apply_assignment(content, setting)
        folder = content["data_stages"][0]["data"]["dataset"]["dataset_folder"]
        return assignment(CORPUS, str(self.data / folder))


def _solved(reached, target: float, start: int) -> int:
    """The whole number at which a rising function comes closest to a target; steps from `start` by secants."""
    low, high = 0, None
    value_low, guess = 0.0, max(1, start)
    for _ in range(40):
        value = reached(guess)
        if value < target:
            low, value_low = guess, value
        else:
            high, value_high = guess, value
        if high is not None and high - low <= 1:
            break
        if high is None:
            guess = max(guess + 1, round(guess * target / value))
        else:
            part = (target - value_low) / (value_high - value_low)
            guess = min(high - 1, max(low + 1, low + round(part * (high - low))))
    return high if high is not None and (low == 0 or value_high - target < target - value_low) else low
