"""Forecasts of a grid's arms by the records of other runs, written down before the first of them runs."""

import json
from pathlib import Path

import numpy as np

from tokenformer.errors import UserError
from tokenformer.experiments.prediction.law import Course, fitted
from tokenformer.experiments.records import final_records
from tokenformer.experiments.runs import Places, RunList
from tokenformer.files import write_atomically

FILE = "forecast.json"
Forecast = dict[str, list[float]]
"""Arm -> forecast loss, and the ends of its 80 % interval."""


def write_forecast(runs: RunList, records: Path) -> str:
    """Writes the forecasts into the results, and returns them as text; a law of size and words is all they know.

    Raises:
        UserError: a run of the grid is finished already, or the records tell too little.
    """
    finished = [run.label for run in runs.all if run.trial is None and runs.record(run) is not None]
    if finished:
        raise UserError(f"{finished[0]} is finished: a forecast is made before the first run, or it is none")
    law = fitted(final_records(records))
    seed = runs.grid.content.seeds[0]
    found = {arm: [*law.forecast(planned_course(runs, arm, seed))] for arm in runs.grid.content.arms}
    runs.places.results.mkdir(parents=True, exist_ok=True)
    write_atomically(runs.places.results / FILE, json.dumps(found, indent=2) + "\n")
    lines = [f"{arm}: {mean:.3f} ({low:.3f} to {high:.3f})" for arm, (mean, low, high) in found.items()]
    return "\n".join([*lines, f"written to {runs.places.results / FILE}"])


def planned_course(runs: RunList, arm: str, seed: int) -> Course:
    """The sizes and tokens of each stage of a run, as planned."""
    plan = runs.matching.planned(arm, seed)
    tokens = np.diff([0, *plan.growth_steps, plan.steps]) * plan.tokens_per_step
    return Course(tuple(map(float, plan.sizes)), tuple(map(float, tokens)))


def read_forecast(places: Places) -> Forecast:
    """The forecasts that were written down, none without a file."""
    path = places.results / FILE
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
