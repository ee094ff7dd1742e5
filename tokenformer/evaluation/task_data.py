"""The items of a task, from a folder, from the Hub, or from a generator."""

import gzip
import json
import os
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tokenformer.errors import UserError
from tokenformer.evaluation.items import Item, fast_sample
from tokenformer.evaluation.pair_generators import PAIR_GENERATORS
from tokenformer.evaluation.task_files import DataSource, KeptRecords, Task

DATA_VARIABLE = "TOKENFORMER_EVALUATION_DATA"


@dataclass(frozen=True)
class LoadedTask:
    """A task with the items of each of its parts, and where they came from."""

    task: Task
    items: dict[str, list[Item]]
    origins: dict[str, str]


def data_folder(given: str | Path | None) -> Path | None:
    """The folder below which tasks find files: the given one, else that of $TOKENFORMER_EVALUATION_DATA.

    Raises:
        UserError: there is no such folder.
    """
    folder = given or os.environ.get(DATA_VARIABLE)
    if not folder:
        return None
    if not Path(folder).is_dir():
        raise UserError(
            f"the evaluation data {folder} is no folder; correct the option data, evaluation.data or {DATA_VARIABLE}"
        )
    return Path(folder)


def load_task(task: Task, folder: Path | None, fast: bool) -> LoadedTask:
    """All items, or the fast sample.

    Raises:
        UserError: the data is nowhere, or a record is not as the task says.
    """
    kept = _kept_values(task.keep, folder, task.task)
    items, origins = {}, {}
    for part in task.parts:
        records, origin = _records(task.data, part, task, folder)
        if task.keep is not None and kept is not None:
            wanted = set(kept.get(part, ()))
            records = [record for record in records if record.get(task.keep.field) in wanted]
        found = [_item(record, task, f"{origin}, record {number}") for number, record in enumerate(records)]
        if not found:
            raise UserError(f"{task.task}: {origin} holds no items of {part}")
        items[part] = fast_sample(found, f"{task.task}/{part}") if fast else found
        origins[part] = origin
    return LoadedTask(task, items, origins)


def _records(source: DataSource, part: str, task: Task, folder: Path | None) -> tuple[Iterable[Mapping[str, Any]], str]:
    """Records of a part, and where they come from."""
    if source.generator is not None:
        return _generated(source, part, task), f"generator {source.generator}"
    path = folder / source.file.format(subtask=part) if folder and source.file else None
    if path is not None and path.is_file():
        return _read_lines(path), str(path)
    if source.hub is not None:
        return _from_hub(source, part, task.task)
    if path is not None:
        raise UserError(f"{task.task} needs {path}, which is not there")
    raise UserError(
        f"{task.task} needs {source.file} below a data folder: the option data, evaluation.data or {DATA_VARIABLE}"
    )


def _generated(source: DataSource, part: str, task: Task) -> list[Mapping[str, Any]]:
    if source.generator not in PAIR_GENERATORS:
        known = ", ".join(PAIR_GENERATORS) or "there are none"
        raise UserError(f"{task.task}: there is no generator {source.generator!r}; known: {known}")
    subtask = {"subtask": part} if part != task.task else {}
    try:
        return list(PAIR_GENERATORS[source.generator](**source.parameters, **subtask))
    except TypeError as error:
        raise UserError(f"{task.task}: data.parameters do not fit the generator: {error}") from error


def _from_hub(source: DataSource, part: str, name: str) -> tuple[Iterable[Mapping[str, Any]], str]:
    try:
        import datasets
    except ImportError as error:
        raise UserError(f"{name} reads {source.hub} from the Hub, which needs pip install tokenformer[eval]") from error
    configuration = source.configuration.format(subtask=part) if source.configuration else None
    where = f"{source.hub} {configuration or ''}".strip()
    try:
        records = datasets.load_dataset(source.hub, configuration, split=source.split, revision=source.revision)
    except Exception as error:  # of datasets, the Hub's client and the network
        raise UserError(
            f"{name} cannot read {where} from the Hub ({type(error).__name__}: {error}); leave the task out with "
            f"'-{name}' among the tasks, or put its data below the folder of the option data as {source.file}"
        ) from error
    return records, where


def _read_lines(path: Path) -> list[dict]:
    """The objects of a .jsonl file."""
    opened = gzip.open if path.suffix == ".gz" else open
    try:
        with opened(path, "rt", encoding="utf-8") as lines:
            found = [json.loads(line) for line in lines if line.strip()]
    except (OSError, EOFError, ValueError, RecursionError, zlib.error) as error:
        raise UserError(f"{path} holds no JSON lines: {error}") from error
    wrong = next((number for number, record in enumerate(found) if not isinstance(record, dict)), None)
    if wrong is not None:
        raise UserError(f"{path}: record {wrong} is no JSON object; correct it")
    return found


def _kept_values(keep: KeptRecords | None, folder: Path | None, name: str) -> dict[str, list] | None:
    if keep is None:
        return None
    if folder is None:
        raise UserError(f"{name} needs {keep.file} below a data folder; give it as the option data or {DATA_VARIABLE}")
    path = folder / keep.file
    if not path.is_file():
        raise UserError(f"{name} needs {path}, which is not there")
    content = _read_lines(path)
    if len(content) != 1 or not all(isinstance(values, list) for values in content[0].values()):
        raise UserError(f"{path} must hold one JSON object, which maps subtasks to lists; correct it")
    return content[0]


def _item(record: Mapping[str, Any], task: Task, where: str) -> Item:
    try:
        stratum = "" if task.stratum is None else str(record[task.stratum])
        if task.pairs is not None:
            item = Item("", (record[task.pairs.bad], record[task.pairs.good]), stratum)
        elif task.options is None:
            raise UserError(f"{task.task} says neither pairs nor options; give one of the two")
        else:
            options = list(record[task.options.options])
            right = options.pop(task.options.right)
            item = Item(record[task.options.context], (*options, right), stratum)
    except (KeyError, IndexError, TypeError) as error:
        raise UserError(f"{task.task}: {where} lacks {error}") from error
    if not all(isinstance(text, str) for text in (item.context, *item.choices)):
        raise UserError(f"{task.task}: {where} holds something else than text; correct the data")
    return item
