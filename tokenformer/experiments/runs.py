"""The runs of a grid: their names, the folders where they lie, and in which order they are made."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from statistics import fmean
from typing import Any

from tokenformer.errors import UserError
from tokenformer.experiments.grid import Grid
from tokenformer.experiments.matching import Matching
from tokenformer.experiments.records import Record, read_record, record_file


@dataclass(frozen=True)
class GridRun:
    """One run of a grid; `trial` is the value of the tuned key, for a run that only serves to choose it."""

    arm: str
    seed: int
    trial: Any = None

    @property
    def label(self) -> str:
        """As `--only` takes it: ARM/SEED, or ARM/SEED/VALUE."""
        return f"{self.arm}/{self.seed}" if self.trial is None else f"{self.arm}/{self.seed}/{self.trial}"

    @property
    def name(self) -> str:
        """Name of its folder and of its record."""
        return f"{self.arm}-{self.seed}" if self.trial is None else f"tuning-{self.arm}-{self.seed}-{self.trial}"


@dataclass(frozen=True)
class Places:
    """Where a grid's files lie.

    Args:
        results: records, page and table: small, to be kept.
        runs: the folders of the runs: large, to be thrown away.
    """

    results: Path
    runs: Path

    @property
    def records(self) -> Path:
        return self.results / "records"


class RunList:
    """All runs of a grid, and the records of those that are finished.

    Args:
        data: the folder below which the corpora of the grid lie.
    """

    def __init__(self, grid: Grid, places: Places, data: Path = Path()):
        self.grid, self.places = grid, places
        self.matching = Matching(grid, data, self._growth_steps, self.chosen_value)
        self._records: dict[str, Record] = {}

    @cached_property
    def all(self) -> list[GridRun]:
        """Trials first, then seed after seed, so that arms can be compared early."""
        return [*self._trials(), *self._finals()]

    def _trials(self) -> Iterator[GridRun]:
        tuning = self.grid.content.tuning
        if tuning is not None:
            for seed in tuning.seeds:
                for value in tuning.values:
                    yield from (GridRun(arm, seed, value) for arm in self.grid.tuned_arms)

    def _finals(self) -> Iterator[GridRun]:
        arms = self.grid.content.arms
        seeds = list(dict.fromkeys(seed for arm in arms for seed in self.grid.seeds_of(arm)))
        for seed in seeds:
            yield from (GridRun(arm, seed) for arm in arms if seed in self.grid.seeds_of(arm))

    def find(self, label: str) -> GridRun:
        """The run that `--only` names; raises UserError where there is none."""
        for run in self.all:
            if run.label == label:
                return run
        raise UserError(
            f"{self.grid.path} has no run {label!r}; its runs are {', '.join(run.label for run in self.all)}"
        )

    def record(self, run: GridRun) -> Record | None:
        """The record of a finished run; None while there is none.

        Raises:
            UserError: the record is damaged, or of another grid.
        """
        if run.name not in self._records:
            path = record_file(self.places.records, run.name)
            if not path.is_file():
                return None
            found = read_record(path)
            if found["grid"]["hash"] != self.grid.hash:
                raise UserError(
                    f"{path} is of another grid than {self.grid.path}, which has changed since: undo the change, or "
                    "give the new grid a name or --results of its own"
                )
            self._records[run.name] = found
        return self._records[run.name]

    def settings(self, run: GridRun) -> list[str]:
        """The settings of a run over the base config; raises as `Matching.settings` does."""
        self.matching.check_match(run.arm, run.seed)
        return self.matching.settings(run.arm, run.seed, run.trial)

    def _growth_steps(self, arm: str, seed: int) -> list[int] | None:
        """The steps at which a run grew; a yoked trial follows the trial of the value that was chosen."""
        tuning = self.grid.content.tuning
        is_trial = tuning is not None and seed in tuning.seeds and seed not in self.grid.seeds_of(arm)
        found = self.record(GridRun(arm, seed, self.chosen_value(arm) if is_trial else None))
        return None if found is None else [event["step"] for event in found["growth"]]

    def trials_of(self, arm: str) -> dict[Any, list[Record | None]]:
        """Value -> records of the trials of an arm that has trials of its own."""
        tuning = self.grid.content.tuning
        if tuning is None:
            return {}
        return {value: [self.record(GridRun(arm, seed, value)) for seed in tuning.seeds] for value in tuning.values}

    def chosen_value(self, arm: str) -> Any:
        """The tuned value of an arm; None while a trial is missing or where nothing is tuned."""
        trials = self.trials_of(self.grid.content.arms[arm].tuned_as or arm)
        done = {value: [record for record in records if record is not None] for value, records in trials.items()}
        if not trials or any(len(done[value]) < len(trials[value]) for value in trials):
            return None
        means = {value: fmean(record["outcome"] for record in records) for value, records in done.items()}
        return min(means, key=means.__getitem__)
