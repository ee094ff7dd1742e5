"""`tokenformer eval`: a model's scores in tasks of ours and of lm-eval, as a table and as JSON."""

import datetime
import importlib.metadata
import json
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import tokenformer
from tokenformer.console import table
from tokenformer.errors import UserError
from tokenformer.evaluation.networks import log_probabilities
from tokenformer.evaluation.outcomes import Scoring, TaskScore
from tokenformer.evaluation.runners.opened_model import OpenedModel, opened_model
from tokenformer.evaluation.runners.options import EvaluationOptions
from tokenformer.evaluation.task_data import data_folder, load_task
from tokenformer.evaluation.task_files import find_tasks, is_known
from tokenformer.files import write_atomically

PACKAGES = ("lm-eval", "torch", "transformers", "tokenizers", "datasets")


def evaluate(options: EvaluationOptions) -> dict[str, Any]:
    """Scores a model.

    Returns:
        What `write_results` writes: how it was measured, `tasks` with the scores of ours, and `lm_eval` with what
        lm-eval says of its own.

    Raises:
        UserError: whatever the user can set right; tasks are looked up and read before the model is.
    """
    if not options.tasks:
        raise UserError("there is no task: name at least one of ours or of lm-eval")
    theirs = [name for name in options.tasks if not is_known(name)]
    ours = [name for name in options.tasks if is_known(name)]
    if theirs:
        from tokenformer.evaluation.runners.lm_eval_tasks import check_other_tasks

        check_other_tasks(theirs, options.task_folder)
    folder = data_folder(options.data)
    tasks = [load_task(task, folder, options.fast) for task in find_tasks(ours)] if ours else []
    started = time.monotonic()
    with opened_model(options.source) as model:
        results = _description(options, model)
        if tasks:
            scoring = Scoring(tasks, model.encoder, model.network.max_length)
            found, _ = log_probabilities(model.network, scoring.requests, options.batch_size)
            results["truncated_texts"] = scoring.truncated
            results["tasks"] = {score.task: _as_json(score) for score in scoring.scores(found)}
        if theirs:
            from tokenformer.evaluation.runners.lm_eval_tasks import evaluate_other_tasks

            results["lm_eval"] = evaluate_other_tasks(
                model, theirs, options.batch_size, options.fast, options.task_folder
            )
    results["seconds"] = time.monotonic() - started
    return results


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
    return "\n".join(lines)


def _row(name: str, version: str, score: dict[str, Any]) -> tuple[str, ...]:
    error = "" if score["stderr"] is None else f"{100 * score['stderr']:.2f}"
    shares = (f"{100 * score[key]:.2f}" for key in ("ties", "chance"))
    return (name, version, str(score["n"]), f"{100 * score['accuracy']:.2f}", error, *shares)


def _lm_eval_columns(value: dict[str, Any]) -> tuple[str, str]:
    error = value["stderr"]
    return f"{value['value']:.4f}", f"{error:.4f}" if isinstance(error, float) else ""
