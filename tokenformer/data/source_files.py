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

    def __post_init__(self) -> None:
        if not (math.isfinite(self.weight) and self.weight > 0):
            raise UserError(f"the weight of {self.path} is {self.weight}: give a finite number above 0")

    @classmethod
    def parse(cls, text: str) -> "InputSource":
        """Read `PATH` or `PATH=WEIGHT`; a path that exists as it stands is taken whole, even with a `=` in it.

        Raises UserError for a weight that is not a finite number above 0.
        """
        name, separator, weight = text.rpartition("=")
        if not separator or Path(text).expanduser().exists():
            return cls(Path(text).expanduser())
        try:
            value = float(weight)
        except ValueError:
            raise UserError(
                f"'{text}': there is no such file or folder, and '{weight}' is not a weight; "
                "write PATH or PATH=WEIGHT, WEIGHT a number above 0"
            ) from None
        if not name:
            raise UserError(f"'{text}' names no file or folder: write PATH=WEIGHT")
        return cls(Path(name).expanduser(), value)


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
    `report`. A file's source name is its name without the suffixes of SUFFIXES and `.gz`; files whose names are equal
    otherwise are told apart by their path below the folder that they have in common.

    Raises UserError for a missing path, an input without a readable file, and a file that is given twice.
    """
    weights: dict[Path, float] = {}
    given_by: dict[Path, Path] = {}
    for entry in inputs:
        for path in _files_of(entry.path, report):
            resolved = path.resolve()
            if resolved in given_by:
                raise UserError(
                    f"{path} is read twice, for the inputs {given_by[resolved]} and {entry.path}: remove one"
                )
            given_by[resolved] = entry.path
            weights[path] = entry.weight
    names = _source_names(list(weights))
    return [SourceFile(path, names[path], *_split_suffix(path)[1:], weight) for path, weight in weights.items()]


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
