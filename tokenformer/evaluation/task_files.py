"""The benchmarks by name: one YAML file each in `tasks/`, or a file of the user's own."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Dict, List, Optional  # noqa: UP035 (as in config.sections, whose `build` reads these)

from tokenformer.config.building import build
from tokenformer.config.loading import read_yaml
from tokenformer.errors import UserError

# ruff: noqa: UP006, UP045

FOLDER = Path(__file__).with_name("tasks")


@dataclass
class DataSource:
    """Where items come from; `{subtask}` stands for a subtask's name in `file` and `configuration`.

    A file below the data folder is taken if it is there, else the data set of the Hub; or a generator makes them.

    Args:
        file: .jsonl or .jsonl.gz, relative to the data folder.
        hub, configuration, split, revision: a data set's id, and what `datasets.load_dataset` takes.
        generator: a name in `pair_generators.PAIR_GENERATORS`.
        parameters: its arguments.
    """

    file: Optional[str] = None
    hub: Optional[str] = None
    configuration: Optional[str] = None
    split: str = "train"
    revision: Optional[str] = None
    generator: Optional[str] = None
    parameters: Dict[str, Any] = field(default_factory=dict)


@dataclass
class PairFields:
    """Fields of a record that hold the right and the wrong sentence."""

    good: str
    bad: str


@dataclass
class OptionFields:
    """Fields of a record that hold what all options continue, and the list of them; `right` is the right one's index,
    from 0."""

    context: str
    options: str
    right: int = 0


@dataclass
class KeptRecords:
    """A filter: keeps the records of a subtask whose `field` is listed for it in the JSON mapping `file`."""

    file: str
    field: str


@dataclass
class Task:
    """A benchmark; its score is the unweighted mean of its subtasks.

    Args:
        task: its name, which is that of its file.
        description: what it asks, and who made it.
        version: changes whenever scores are not comparable any more.
        data: of every subtask.
        pairs, options: what a record holds; one of the two.
        groups: subtasks by group; each group's score, an unweighted mean too, is reported.
        subtasks: their names, where there are no groups; none: the task has one part.
        keep: which records count; all if not given.
        stratum: field of a record whose values the fast sample keeps in their shares.
    """

    task: str
    description: str
    version: int
    data: DataSource
    pairs: Optional[PairFields] = None
    options: Optional[OptionFields] = None
    groups: Dict[str, List[str]] = field(default_factory=dict)
    subtasks: List[str] = field(default_factory=list)
    keep: Optional[KeptRecords] = None
    stratum: Optional[str] = None

    @property
    def parts(self) -> list[str]:
        """Names of the subtasks; the task's own if it has none."""
        return [*self.subtasks, *(name for names in self.groups.values() for name in names)] or [self.task]


@dataclass
class TaskGroup:
    """Several tasks under one name."""

    group: str
    description: str
    tasks: List[str]


def task_names() -> list[str]:
    """Names of all tasks and groups of the package."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def is_known(name: str) -> bool:
    """Tells whether this names a task or group of the package, or the file of one; a leading "-" leaves it out."""
    name = name.removeprefix("-")
    return name.endswith(".yaml") or (FOLDER / f"{name}.yaml").is_file()


def read_task_file(path: Path) -> Task | TaskGroup:
    """A task or a group.

    Raises:
        UserError: the file cannot be read, or something in it is missing, unknown or contradictory.
    """
    content = read_yaml(path)
    if "group" in content:
        return build(content, TaskGroup, "", str(path))
    if "extends" in content:
        base = read_task_file(path.with_name(f"{content.pop('extends')}.yaml"))
        changed = build({"data": {}, **content}, Task, "", str(path))
        return replace(base, **{key: getattr(changed, key) for key in content})
    task = build(content, Task, "", str(path))
    _check(task, str(path))
    return task


def _check(task: Task, name: str) -> None:
    if (task.pairs is None) == (task.options is None):
        raise UserError(f"{name}: a task has either pairs or options; write one of the two")
    if task.data.generator is None and task.data.file is None and task.data.hub is None:
        raise UserError(f"{name}: data names no file, no hub and no generator")
    if len(set(task.parts)) < len(task.parts):
        raise UserError(f"{name}: a subtask stands twice")
    parts = {part for text in (task.data.file, task.data.configuration) for part in re.findall(r"{(\w+)}", text or "")}
    if parts - {"subtask"}:
        raise UserError(f"{name}: data knows {{subtask}} and not {sorted(parts - {'subtask'})}")


def find_tasks(names: Sequence[str]) -> list[Task]:
    """The tasks that names stand for, each once, groups as their members.

    Args:
        names: of tasks and groups, or paths of YAML files; "-NAME" leaves one out.

    Raises:
        UserError: a name is not known, or nothing is left.
    """
    left_out = {task.task for name in names if name.startswith("-") for task in _expanded(name[1:])}
    found = {task.task: task for name in names if not name.startswith("-") for task in _expanded(name)}
    tasks = [task for name, task in found.items() if name not in left_out]
    if not tasks:
        raise UserError(f"no tasks are left of {', '.join(names)}; choose of {', '.join(task_names())}")
    return tasks


def _expanded(name: str) -> Iterator[Task]:
    if not is_known(name):
        raise UserError(f"there is no task {name!r}; choose of {', '.join(task_names())}, or give a .yaml file")
    read = read_task_file(Path(name) if name.endswith(".yaml") else FOLDER / f"{name}.yaml")
    if isinstance(read, Task):
        yield read
    else:
        for member in read.tasks:
            yield from _expanded(member)
