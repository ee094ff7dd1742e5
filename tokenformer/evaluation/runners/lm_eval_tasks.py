"""Tasks that lm-eval brings, or that a folder of its YAML files holds, scored by lm-eval with a model of ours."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tokenformer.errors import UserError
from tokenformer.evaluation.items import fast_places
from tokenformer.evaluation.runners.opened_model import OpenedModel

PREFIX = "lm_eval:"
"""Before a name that both have: ours is meant without it."""


def _names(tasks: Sequence[str]) -> list[str]:
    return [name.removeprefix(PREFIX) for name in tasks]


def _task_manager(tasks: Sequence[str], folder: Path | None) -> Any:
    try:
        from lm_eval.tasks import TaskManager
    except ImportError as error:
        raise UserError(
            f"{', '.join(tasks)}: no tasks of ours, and those of lm-eval need pip install tokenformer[eval]"
        ) from error
    if folder is not None:
        manager = TaskManager(include_path=str(folder), include_defaults=False)  # its own index takes half a minute
        if set(_names(tasks)) <= set(manager.task_index):
            return manager
    return TaskManager(include_path=str(folder) if folder else None)


def check_other_tasks(tasks: Sequence[str], folder: Path | None) -> None:
    """Raises UserError unless lm-eval is installed and knows the tasks."""
    manager = _task_manager(tasks, folder)
    unknown = [name for name in _names(tasks) if name not in manager.task_index]
    if unknown:
        from tokenformer.evaluation.task_files import task_names

        raise UserError(
            f"neither we nor lm-eval know {', '.join(unknown)}; ours are {', '.join(task_names())}, and `lm-eval ls "
            "tasks` lists the others"
        )


def evaluate_other_task(
    model: OpenedModel, task: str, batch_size: int | None, fast: bool, folder: Path | None
) -> dict[str, dict[str, Any]]:
    """Task or group -> `version`, `n`, and `metrics`, each a value and its standard error, as lm-eval computes them.

    Args:
        task: one of lm-eval's, or a group.
        fast: a fixed tenth of the items of each task, subtasks of a group one by one.
    """
    from lm_eval import simple_evaluate

    from tokenformer.evaluation.runners.lm_eval_model import TokenformerLM

    manager, names = _task_manager([task], folder), _names([task])
    samples = _fast_samples(manager.load(names)["tasks"]) if fast else None
    found = simple_evaluate(
        model=TokenformerLM(model, batch_size=batch_size),
        tasks=names,
        task_manager=manager,
        samples=samples,
        log_samples=False,
        bootstrap_iters=1000,
    )
    return {
        name: {
            "version": found["versions"].get(name),
            "n": len(samples[name]) if samples and name in samples else _count(found, name),
            "metrics": _metrics(values),
        }
        for name, values in found["results"].items()
    }


def _fast_samples(tasks: dict[str, Any]) -> dict[str, list[int]]:
    """Task -> the places of the items that the fast sample takes; lm-eval says of no item which kind it is."""
    return {name: fast_places([""] * len(task.eval_docs), name) for name, task in tasks.items()}


def _count(found: dict[str, Any], name: str) -> int | None:
    return found.get("n-samples", {}).get(name, {}).get("effective")


def _metrics(values: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """lm-eval keeps "acc,none" and "acc_stderr,none"."""
    numbers = {key: value for key, value in values.items() if "," in key and "_stderr," not in key}
    return {
        key.replace(",none", ""): {"value": value, "stderr": values.get(key.replace(",", "_stderr,", 1))}
        for key, value in numbers.items()
        if isinstance(value, int | float)
    }
