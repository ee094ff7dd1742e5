"""`tokenformer eval`: a model's scores in tasks of ours and of lm-eval, as a table and as JSON."""

import datetime
import importlib.metadata
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import tokenformer
from tokenformer.console import progress_steps, table
from tokenformer.errors import UserError
from tokenformer.evaluation.networks import log_probabilities
from tokenformer.evaluation.outcomes import Scoring, TaskScore
from tokenformer.evaluation.runners.opened_model import OpenedModel, opened_model
from tokenformer.evaluation.runners.options import EvaluationOptions
from tokenformer.evaluation.task_data import LoadedTask, data_folder, load_task
from tokenformer.evaluation.task_files import find_tasks, is_known
from tokenformer.files import write_atomically

PACKAGES = ("lm-eval", "torch", "transformers", "tokenizers", "datasets")


def evaluate(options: EvaluationOptions) -> dict[str, Any]:
    """Scores a model.

    Returns:
        What `write_results` writes: how it was measured, `tasks` with the scores of ours, `lm_eval` with what lm-eval
        says of its own, and `failures` with the reason why a task could not be scored.

    Raises:
        UserError: whatever the user can set right; tasks are looked up and read before the model is. A single task that
            fails does not raise, unless all do.
    """
    if not options.tasks:
        raise UserError("there is no task: name at least one of ours or of lm-eval")
    theirs = [name for name in options.tasks if not is_known(name)]
    ours = [name for name in options.tasks if is_known(name)]
    if theirs:
        from tokenformer.evaluation.runners.lm_eval_tasks import check_other_tasks

        check_other_tasks(theirs, options.task_folder)
    folder = data_folder(options.data)
    failures: dict[str, str] = {}
    tasks = []
    for task in find_tasks(ours) if ours else []:
        with noted(failures, task.task):
            tasks.append(load_task(task, folder, options.fast))
    if failures and not tasks and not theirs:
        raise UserError("; ".join(failures.values()))
    started = time.monotonic()
    with opened_model(options.source) as model, progress_steps() as step:
        results = _description(options, model)
        results |= {"truncated_texts": 0, "tasks": {}, "lm_eval": {}}
        for loaded in tasks:
            with noted(failures, loaded.task.task):
                _score_task(model, loaded, options, results, step)
        for name in theirs:
            from tokenformer.evaluation.runners.lm_eval_tasks import evaluate_other_task

            step(f"scoring {name} by lm-eval")
            with noted(failures, name):
                results["lm_eval"] |= evaluate_other_task(
                    model, name, options.batch_size, options.fast, options.task_folder
                )
    if not results["tasks"] and not results["lm_eval"]:
        raise UserError("; ".join(failures.values()))
    results["failures"] = failures
    results["seconds"] = time.monotonic() - started
    return results


@contextmanager
def noted(failures: dict[str, str], task: str) -> Iterator[None]:
    """A failure of one task is written down, and the others are scored."""
    try:
        yield
    except Exception as error:  # whatever a task's data, lm-eval or the model raises
        failures[task] = str(error) if isinstance(error, UserError) else f"{task}: {type(error).__name__}: {error}"


def _score_task(
    model: OpenedModel, loaded: LoadedTask, options: EvaluationOptions, results: dict[str, Any], step: Callable
) -> None:
    """Adds the score of a task to `results`."""
    scoring = Scoring([loaded], model.encoder, model.network.max_length)
    advance, done = step(f"scoring {loaded.task.task}", total=len(scoring.requests)), 0

    def progress(share: float) -> None:
        nonlocal done
        now = round(share * len(scoring.requests))
        advance(now - done)
        done = now

    found, _ = log_probabilities(model.network, scoring.requests, options.batch_size, progress=progress)
    results["truncated_texts"] += scoring.truncated
    results["tasks"] |= {score.task: _as_json(score) for score in scoring.scores(found)}


def _description(options: EvaluationOptions, model: OpenedModel) -> dict[str, Any]:
    prefix = model.encoder.prefix_token
    reason = getattr(model.network, "reason", None)
    return {
        "model": options.source.model,
        "parameters": model.parameters,
        "dtype": model.dtype,
        "device": str(model.network.device),
        "batch_size": options.batch_size or "auto",
        "prefix_token": {"id": prefix, "text": model.decode([prefix])},
        "max_length": model.network.max_length,
        "sample": "fast, one item in ten" if options.fast else "whole",
        "shares_prefixes": model.network.shares_prefixes,
        **({"why_not": reason} if reason else {}),
        "versions": {"tokenformer": tokenformer.__version__, **_versions()},
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }


def _versions() -> dict[str, str]:
    found = {}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def _as_json(score: TaskScore) -> dict[str, Any]:
    return {
        "version": score.version,
        **asdict(score.whole),
        "groups": {name: asdict(group) for name, group in score.groups.items()},
        "parts": {name: {**asdict(part), "data": score.origins[name]} for name, part in score.parts.items()},
    }


def write_results(path: Path, results: dict[str, Any]) -> None:
    """Results as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, json.dumps(results, indent=2, ensure_ascii=False) + "\n")


def results_table(results: dict[str, Any]) -> str:
    """A line for every task, group and part (where there are no groups), in percent; then how it was measured."""
    rows = []
    for name, task in results.get("tasks", {}).items():
        rows.append(_row(name, str(task["version"]), task))
        inner = task["groups"] or (task["parts"] if len(task["parts"]) > 1 else {})
        rows += [_row(f"  {part}", "", score) for part, score in inner.items()]
    for name, task in results.get("lm_eval", {}).items():
        rows += [
            (f"{name} {metric}", str(task["version"]), str(task["n"]), *_lm_eval_columns(value), "", "")
            for metric, value in task["metrics"].items()
        ]
    prefix, versions = results["prefix_token"], results["versions"]
    lines = [table(("task", "version", "items", "accuracy", "stderr", "ties", "chance"), rows), ""]
    lines.append(
        f"{results['model']}: {results['parameters']:,} parameters, {results['dtype']} on {results['device']}, batch "
        f"size {results['batch_size']}, prefix token {prefix['text']!r} ({prefix['id']}), sample: {results['sample']}"
    )
    lines.append(", ".join(f"{package} {version}" for package, version in versions.items()))
    if results.get("truncated_texts"):
        lines.append(f"{results['truncated_texts']} texts are longer than the model reads and were cut at the left")
    lines += [f"NOT SCORED {name}: {reason}" for name, reason in results.get("failures", {}).items()]
    return "\n".join(lines)


def _row(name: str, version: str, score: dict[str, Any]) -> tuple[str, ...]:
    error = "" if score["stderr"] is None else f"{100 * score['stderr']:.2f}"
    shares = (f"{100 * score[key]:.2f}" for key in ("ties", "chance"))
    return (name, version, str(score["n"]), f"{100 * score['accuracy']:.2f}", error, *shares)


def _lm_eval_columns(value: dict[str, Any]) -> tuple[str, str]:
    error = value["stderr"]
    return f"{value['value']:.4f}", f"{error:.4f}" if isinstance(error, float) else ""
