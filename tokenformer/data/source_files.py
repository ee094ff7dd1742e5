"""Which files an input means, in which order they are read, and what each is called in reports and plans."""

import math
import os
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tokenformer.data.reading_report import ReadingReport
from tokenformer.errors import UserError

PLAIN_TEXT_SUFFIXES = (".txt", ".train", ".dev", ".test")
"""`.train`, `.dev` and `.test` are the names of the BabyLM corpora's files."""

SUFFIXES = (*PLAIN_TEXT_SUFFIXES, ".jsonl", ".parquet")
"""File types that can be read; each may also end in `.gz`."""

_READABLE = f"readable are {', '.join(SUFFIXES)}, each also with .gz"


@dataclass(frozen=True, slots=True)
class InputSource:
    """A file or folder of text, and how much its documents weigh in the sample plan (1 is as they are)."""

    path: Path
    weight: float = 1.0
    name: str | None = None
    """Name of the one source that all its files are; None makes a source of each file."""

    def __post_init__(self) -> None:
        if not (math.isfinite(self.weight) and self.weight > 0):
            raise UserError(f"the weight of {self.path} is {self.weight}: give a finite number above 0")

    @classmethod
    def parse(cls, text: str) -> "InputSource":
        """Read `PATH`, `PATH=WEIGHT`, `NAME=PATH` or `NAME=PATH=WEIGHT`.

        A path that exists as it stands is taken whole, even with a `=` in it. All files of a `NAME` are one source.

        Raises UserError for a weight that is not a finite number above 0, and where there is no such path.
        """
        if "=" not in text or _exists(text):
            return cls(Path(text).expanduser())
        rest, _, weight = text.rpartition("=")
        value = _as_number(weight)
        if value is None or (_exists(weight) and not _exists(rest)):
            rest, value = text, 1.0
        name, separator, path = rest.partition("=")
        if separator and not _exists(rest) and name and _exists(path):
            return cls(Path(path).expanduser(), value, name)
        if rest == text:
            raise UserError(
                f"'{text}': there is no such file or folder, and '{weight}' is neither one nor a weight; "
                "write PATH, PATH=WEIGHT, NAME=PATH or NAME=PATH=WEIGHT, WEIGHT a number above 0"
            )
        if not rest:
            raise UserError(f"'{text}' names no file or folder: write PATH=WEIGHT")
        return cls(Path(rest).expanduser(), value)


def _exists(path: str) -> bool:
    return bool(path) and Path(path).expanduser().exists()


def _as_number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One file to read."""

    path: Path
    source: str
    """Its name in reports, unique among the files that are read together."""
    suffix: str
    """One of SUFFIXES."""
    compressed: bool
    weight: float


def list_source_files(inputs: Sequence[InputSource], report: ReadingReport) -> list[SourceFile]:
    """The files that `inputs` mean: in the order of the inputs, folders recursively in sorted order.

    Hidden files and folders are skipped; files of another type, broken links and special files are counted in
    `report`. A file's source name is that of its input or, without one, its own without the suffixes of SUFFIXES and
    `.gz`; files whose names are equal otherwise are told apart by their path below the folder that they share.

    Raises UserError for a missing path, an input without a readable file, and a file that is given twice.
    """
    given_by: dict[Path, Path] = {}
    entry_of: dict[Path, InputSource] = {}
    for entry in inputs:
        for path in _files_of(entry.path, report):
            resolved = path.resolve()
            if resolved in given_by:
                raise UserError(
                    f"{path} is read twice, for the inputs {given_by[resolved]} and {entry.path}: remove one"
                )
            given_by[resolved] = entry.path
            entry_of[path] = entry
    names = _source_names([path for path, entry in entry_of.items() if entry.name is None])
    _check_given_names(inputs, names)
    return [
        SourceFile(path, entry.name or names[path], *_split_suffix(path)[1:], entry.weight)
        for path, entry in entry_of.items()
    ]


def _check_given_names(inputs: Sequence[InputSource], names: dict[Path, str]) -> None:
    """Raises UserError for a name that a file has by itself, and for two weights of one name."""
    path_of, weight_of = {name: path for path, name in names.items()}, {}
    for entry in inputs:
        if entry.name in path_of:
            raise UserError(
                f"{path_of[entry.name]} and {entry.path} would both be the source '{entry.name}': rename one"
            )
        if entry.name is not None and weight_of.setdefault(entry.name, entry.weight) != entry.weight:
            raise UserError(f"the source '{entry.name}' has two weights: give all its inputs the same one")


def _files_of(path: Path, report: ReadingReport) -> list[Path]:
    if path.is_file():
        if _split_suffix(path)[1] == "":
            raise UserError(f"{path} is not of a known type ({_READABLE}): rename or convert it")
        return [path]
    if not path.is_dir():
        raise UserError(f"{path} is neither a file nor a folder: check the path")
    files = list(_walk(path, report, seen=set()))
    if not files:
        raise UserError(f"the folder {path} holds no readable file ({_READABLE}): add one, or check the path")
    return files


def _walk(folder: Path, report: ReadingReport, seen: set[Path]) -> Iterator[Path]:
    """Files below `folder`, links followed, each folder once so that circular links end."""
    resolved = folder.resolve()
    if resolved in seen:
        return
    seen.add(resolved)
    try:
        entries = sorted(folder.iterdir(), key=lambda path: path.name)
    except PermissionError:
        raise UserError(f"the folder {folder} may not be read: change its permissions") from None
    for path in entries:
        if path.name.startswith("."):
            continue
        if path.is_dir():
            yield from _walk(path, report, seen)
        elif not path.is_file():
            report.count("special_file", path.suffix, example=str(path))
        elif _split_suffix(path)[1]:
            yield path
        else:
            report.count("unknown_suffix", path.suffix, example=str(path))


def _split_suffix(path: Path) -> tuple[str, str, bool]:
    """Name without suffixes, suffix of SUFFIXES or "", whether gzip-compressed."""
    name = path.name
    compressed = name.lower().endswith(".gz")
    if compressed:
        name = name[: -len(".gz")]
    for suffix in SUFFIXES:
        if name.lower().endswith(suffix) and len(name) > len(suffix):
            return name[: -len(suffix)], suffix, compressed
    return path.name, "", compressed


def _source_names(paths: list[Path]) -> dict[Path, str]:
    by_stem: dict[str, list[Path]] = defaultdict(list)
    for path in paths:
        by_stem[_split_suffix(path)[0]].append(path)
    names: dict[Path, str] = {}
    for stem, group in by_stem.items():
        names.update({group[0]: stem} if len(group) == 1 else _relative_names(group))
    path_of: dict[str, Path] = {}
    for path, name in names.items():
        if name in path_of:
            raise UserError(f"{path} and {path_of[name]} would both be the source '{name}': rename one of them")
        path_of[name] = path
    return names


def _relative_names(paths: list[Path]) -> dict[Path, str]:
    """Paths below the common folder, without suffixes where that tells the files apart."""
    absolute = {path: Path(os.path.abspath(path)) for path in paths}
    common = os.path.commonpath([path.parent for path in absolute.values()])
    relative = {path: place.relative_to(common) for path, place in absolute.items()}
    short = {path: place.with_name(_split_suffix(place)[0]).as_posix() for path, place in relative.items()}
    if len(set(short.values())) == len(paths):
        return short
    return {path: place.as_posix() for path, place in relative.items()}
