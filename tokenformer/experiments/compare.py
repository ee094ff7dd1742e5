"""`tokenformer compare`: a grid's runs made and answered for, or two ordinary runs side by side."""

from pathlib import Path

from tokenformer.errors import UserError
from tokenformer.experiments.grid import Grid
from tokenformer.experiments.making import Maker
from tokenformer.experiments.options import CompareOptions
from tokenformer.experiments.runs import Places, RunList
from tokenformer.experiments.schedule import Finished, make_all, slurm_script


def compare(options: CompareOptions) -> str:
    """Does what is asked for and returns what is to be printed.

    Raises:
        UserError: the grid, a run or a record is wrong, or runs failed.
    """
    if len(options.sources) > 1:
        from tokenformer.experiments.answer.side_by_side import write_side_by_side

        return write_side_by_side(options.sources, options.results or Path("comparison"))
    for name, value, least in (("jobs", options.jobs, 1), ("threads", options.threads, 1), ("nice", options.nice, 0)):
        if value < least:
            raise UserError(f"--{name} is {value}; it must be {least} or more")
    if not options.sources:
        raise UserError("there is nothing to compare: give a grid's YAML, or the folders of two or more runs")
    (path,) = options.sources
    if path.is_dir():
        raise UserError(f"{path} is one run: give the folder of another to lay beside it, or a grid's YAML")
    grid = Grid.read(path)
    places = Places(
        results=options.results or path.parent / "results" / grid.name,
        runs=options.runs or Path("runs") / grid.name,
    )
    runs = RunList(grid, places, options.data)
    chosen = [runs.find(options.only)] if options.only else runs.all
    if options.slurm:
        return slurm_script(str(path), chosen, options.threads, f"--data {options.data}")
    if options.forecast is not None:
        from tokenformer.experiments.prediction.forecast import write_forecast

        return write_forecast(runs, options.forecast)
    if not options.report_only:
        maker = Maker(runs, options.threads, options.nice, options.keep_weights)
        finished = make_all(runs, maker, chosen, options.jobs)
        if finished.failed or finished.waiting:
            if not options.only and any(run.trial is None and runs.record(run) for run in runs.all):
                _answer(runs)
            raise UserError(_unfinished(finished))
    return f"{runs.places.records / chosen[0].name}.jsonl" if options.only else _answer(runs)


def _answer(runs: RunList) -> str:
    from tokenformer.experiments.answer.page import write_answer

    return write_answer(runs)


def _unfinished(finished: Finished) -> str:
    """Every run that failed or could not be made, with the reason."""
    reasons = {**finished.failed, **finished.waiting}
    lines = [f"{run.label}: {reason}" for run, reason in reasons.items()]
    return f"{len(finished.failed)} runs failed, {len(finished.waiting)} wait:\n" + "\n".join(lines)
