"""The numbers that the records of a grid give: contrasts, speed-ups, benchmarks, tuning, deviations."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tokenformer.errors import UserError
from tokenformer.experiments.grid import Contrast, Grid
from tokenformer.experiments.matching import TOLERANCE
from tokenformer.experiments.prediction.forecast import Forecast, read_forecast
from tokenformer.experiments.records import Record
from tokenformer.experiments.runs import GridRun, RunList
from tokenformer.experiments.speed_up import SpeedUpFound, speed_up
from tokenformer.experiments.statistics import (
    DocumentLosses,
    Paired,
    benchmark_interval,
    bootstrap_interval,
    detectable_effect,
    equivalence,
    holm,
    paired,
)

TIE = 0.5


@dataclass(frozen=True)
class ContrastFound:
    """A contrast with its numbers.

    Args:
        missing: runs without which it is not compared; then there are no numbers.
        corrected_p: by Holm over the confirmatory contrasts; for others as it is.
        equivalence_p: of the two one-sided tests.
        detectable: the difference that so many pairs find with 80 % power.
        documents: interval of the bootstrap over seeds and documents.
    """

    contrast: Contrast
    missing: tuple[str, ...] = ()
    difference: Paired | None = None
    corrected_p: float | None = None
    equivalence_p: float | None = None
    detectable: float | None = None
    documents: tuple[float, float] | None = None


@dataclass(frozen=True)
class BenchmarkFound:
    """The difference of two arms in a benchmark, in accuracy."""

    contrast: str
    task: str
    difference: Paired
    items: tuple[float, float]


@dataclass(frozen=True)
class TrialsFound:
    """The trials of an arm: value -> mean outcome, the chosen value, and whether it lies at an edge of the values."""

    arm: str
    outcomes: Mapping[Any, float]
    chosen: Any
    at_edge: bool


@dataclass(frozen=True)
class Analysis:
    """All that a grid's records say.

    Args:
        records: arm -> records of its final runs, by seed.
        trials: the tuning, as far as it is finished.
        forecasts: of the arms' losses, made before they ran.
        deviations: what is not as the grid says.
    """

    grid: Grid
    records: Mapping[str, list[Record]]
    contrasts: list[ContrastFound]
    speed_ups: list[SpeedUpFound]
    benchmarks: list[BenchmarkFound]
    trials: list[TrialsFound]
    forecasts: Forecast = field(default_factory=dict)
    deviations: list[str] = field(default_factory=list)


def analysed(runs: RunList) -> Analysis:
    """The analysis of the records at hand.

    Raises:
        UserError: there is no record of a final run, or the records were made with different text.
    """
    records = _records(runs)
    if not any(records.values()):
        raise UserError(f"{runs.places.records} has no record of a final run yet: make runs first")
    contrasts = _contrasts(runs, records)
    return Analysis(
        grid=runs.grid,
        records=records,
        contrasts=contrasts,
        speed_ups=_speed_ups(runs, records),
        benchmarks=_benchmarks(contrasts, records),
        trials=_trials(runs),
        forecasts=read_forecast(runs.places),
        deviations=_deviations(runs, records),
    )


def outcomes(records: list[Record]) -> dict[int, float]:
    """Seed -> outcome."""
    return {record["seed"]: record["outcome"] for record in records}


def _records(runs: RunList) -> dict[str, list[Record]]:
    found = {}
    for arm in runs.grid.content.arms:
        candidates = (runs.record(GridRun(arm, seed)) for seed in runs.grid.seeds_of(arm))
        found[arm] = [record for record in candidates if record is not None]
    return found


def _contrasts(runs: RunList, records: Mapping[str, list[Record]]) -> list[ContrastFound]:
    content = runs.grid.content
    found = [_contrast(runs, contrast, records) for contrast in content.contrasts]
    confirmatory = [index for index, each in enumerate(found) if each.contrast.confirmatory]
    p_values = [found[index].corrected_p for index in confirmatory]
    if any(found[index].difference and p is None for index, p in zip(confirmatory, p_values, strict=True)):
        return found
    # Contrasts that are still missing count, at the p value that helps the others least.
    corrected = holm([1.0 if p is None else p for p in p_values])
    for index, p in zip(confirmatory, corrected, strict=True):
        if found[index].difference is not None:
            found[index] = _with_p(found[index], p)
    return found


def _with_p(found: ContrastFound, corrected: float) -> ContrastFound:
    return ContrastFound(**{**found.__dict__, "corrected_p": corrected})


def _contrast(runs: RunList, contrast: Contrast, records: Mapping[str, list[Record]]) -> ContrastFound:
    """The numbers of a contrast, once all seeds of both arms are finished."""
    seeds = [seed for seed in runs.grid.seeds_of(contrast.first) if seed in runs.grid.seeds_of(contrast.second)]
    if not seeds:
        raise UserError(f"{runs.grid.path}: the contrast {contrast.name} is of arms that have no seed in common")
    done = {arm: {record["seed"] for record in records[arm]} for arm in (contrast.first, contrast.second)}
    missing = tuple(f"{arm}/{seed}" for arm in done for seed in seeds if seed not in done[arm])
    if missing:
        return ContrastFound(contrast, missing)
    content = runs.grid.content
    pair = [[record for record in records[arm] if record["seed"] in seeds] for arm in done]
    first, second = pair
    difference = paired(outcomes(first), outcomes(second), confidence=1 - content.significance)
    return ContrastFound(
        contrast,
        difference=difference,
        corrected_p=difference.p,
        equivalence_p=equivalence(difference, content.equivalent),
        detectable=None
        if difference.deviation is None
        else detectable_effect(difference.n, difference.deviation, content.significance),
        documents=bootstrap_interval(_document_losses(first, content), _document_losses(second, content)),
    )


def _document_losses(records: list[Record], content: Any) -> DocumentLosses:
    documents = records[0]["documents"]
    source = np.array(documents["source"])
    kept = np.ones(len(source), dtype=bool)
    if content.outcome == "loss":
        source = np.zeros_like(source)
    elif content.sources is not None:
        kept = np.isin(source, [documents["sources"].index(name) for name in content.sources])
    ordered = sorted(records, key=lambda record: record["seed"])
    return DocumentLosses(
        nats=np.array([record["documents"]["nats"] for record in ordered])[:, kept],
        tokens=np.array(documents["tokens"], dtype=np.float64)[kept],
        source=source[kept],
    )


def _speed_ups(runs: RunList, records: Mapping[str, list[Record]]) -> list[SpeedUpFound]:
    tuning = runs.grid.content.tuning
    trials = {
        arm: 0 if tuning is None or runs.chosen_value(arm) is None else len(tuning.values) * len(tuning.seeds)
        for arm in runs.grid.content.arms
    }
    found = []
    for asked in runs.grid.content.speed_up:
        for arm in asked.of:
            named = (arm, *asked.baseline)
            if all(records[name] for name in named):
                found.append(speed_up(arm, records, asked.baseline, trials, _tuning_flops(runs, named)))
    return found


def _tuning_flops(runs: RunList, arms: tuple[str, ...]) -> float:
    tuned = {runs.grid.content.arms[arm].tuned_as or arm for arm in arms}
    trials = [record for arm in tuned for found in runs.trials_of(arm).values() for record in found]
    return float(sum(record["flops"] for record in trials if record is not None))


def items_of(record: Record, task: str) -> np.ndarray:
    """float64 [items]: what each item of a benchmark counted, weighted so that the mean is the task's score."""
    parts = [part["items"] for part in record["benchmarks"][task]["parts"].values()]
    total = sum(map(len, parts))
    value = {"1": 1.0, "0": 0.0, "t": TIE}
    return np.array([value[sign] * total / (len(parts) * len(items)) for items in parts for sign in items])


def _benchmarks(contrasts: list[ContrastFound], records: Mapping[str, list[Record]]) -> list[BenchmarkFound]:
    found = []
    for each in contrasts:
        if each.difference is None:
            continue
        seeds = each.difference.differences
        pair = [
            sorted((record for record in records[arm] if record["seed"] in seeds), key=lambda record: record["seed"])
            for arm in (each.contrast.first, each.contrast.second)
        ]
        for task in pair[0][0]["benchmarks"]:
            first, second = (
                {record["seed"]: record["benchmarks"][task]["accuracy"] for record in side} for side in pair
            )
            items, others = (np.stack([items_of(record, task) for record in side]) for side in pair)
            interval = benchmark_interval(items, others)
            found.append(BenchmarkFound(each.contrast.name, task, paired(first, second), interval))
    return found


def _trials(runs: RunList) -> list[TrialsFound]:
    found = []
    for arm in runs.grid.tuned_arms:
        done = {
            value: [record["outcome"] for record in trials if record is not None]
            for value, trials in runs.trials_of(arm).items()
        }
        means = {value: float(np.mean(losses)) for value, losses in done.items() if losses}
        chosen = runs.chosen_value(arm)
        if means:
            edges = (min(means), max(means))
            found.append(TrialsFound(arm, means, chosen, len(means) > 2 and chosen in edges))
    return found


def _deviations(runs: RunList, records: Mapping[str, list[Record]]) -> list[str]:
    """Notes that a reader needs before believing the numbers."""
    found = []
    everything = [record for of_arm in records.values() for record in of_arm]
    if len({record["corpus"] for record in everything}) > 1:
        found.append("the runs did not all read the same prepared corpus")
    for arm, settings in runs.grid.content.arms.items():
        for key, other in settings.match.items():
            theirs = {record["seed"]: record[key] for record in records[other]}
            shares = [
                abs(record[key] / theirs[record["seed"]] - 1) for record in records[arm] if record["seed"] in theirs
            ]
            if shares and max(shares) > TOLERANCE:
                found.append(f"{arm} was to equal {other} in {key}, and differs by up to {max(shares):.1%}")
    missing = [run.label for run in runs.all if run.trial is None and runs.record(run) is None]
    if missing:
        found.append(f"{len(missing)} runs are not finished: {', '.join(missing)}")
    for each in _trials(runs):
        if each.at_edge:
            found.append(
                f"the best value of {each.arm} in the tuning, {each.chosen}, is an edge: a further one may be better"
            )
    return found
