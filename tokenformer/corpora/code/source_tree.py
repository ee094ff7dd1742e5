"""Which files of a source tree are read, in which order, and why others are not."""

import io
import os
import re
import sysconfig
import tokenize
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from tokenformer.corpora.code.syntax import parsed
from tokenformer.errors import UserError

SKIPPED = {
    "other type": "files of another type",
    "test": "tests",
    "third party": "folders of installed packages",
    "generated": "files that a program wrote",
    "link": "links and special files",
    "too large": "files above the size limit",
    "blank": "files of nothing but whitespace",
    "binary": "files with NUL bytes",
    "undecodable": "files that are not text in the encoding that they declare",
    "repeated": "documents that occurred before",
    "not parsable": "files that this Python cannot parse",
}
"""Reasons for which something is left out, in words."""

LARGEST_FILE = 1_000_000
"""Bytes."""
HEAD_LINES = 12
"""Where a generated file says that it is one."""
EXAMPLES_KEPT = 3

_GENERATED = re.compile(
    r"^\W*(?:this (?:file|module) (?:is|was) )?(?:auto(?:matically)?[- ]?)?generated (?:by|from|automatically)\b"
    r"|^\W*auto(?:matically)?-?generated|generated from '|\bdo not (?:edit|modify)\b|@generated",
    re.IGNORECASE | re.MULTILINE,
)
_TEST_FOLDER = re.compile(r"tests?|testing|testdata|.*_tests?", re.IGNORECASE)
_TEST_FILE = re.compile(r"(?:test|tests|conftest|test_.*|.*_test)\.[^.]+", re.IGNORECASE)
_THIRD_PARTY = {"site-packages", "dist-packages", "node_modules", "vendor", "_vendor", "ensurepip"}
_NEVER_ENTERED = {"__pycache__"}


@dataclass(frozen=True, slots=True)
class SourceText:
    """A file that is read."""

    path: str
    """Below the root, with `/` on every platform."""
    text: str
    """Decoded, with LF line ends."""


@dataclass
class TreeReport:
    """Counts of the files that were not read; filled while a tree is read."""

    skipped: Counter[str] = field(default_factory=Counter)
    """Key of SKIPPED -> files, or what else it counts."""
    examples: dict[str, list[str]] = field(default_factory=dict)
    """Key of SKIPPED, or what else it counts -> the first paths."""

    def skip(self, reason: str, path: str) -> None:
        """Note a file that is not read."""
        self.skipped[reason] += 1
        kept = self.examples.setdefault(reason, [])
        if len(kept) < EXAMPLES_KEPT:
            kept.append(path)

    def lines(self) -> list[str]:
        """Lines for a human reader, one for each reason that occurred."""
        return [
            f"skipped: {self.skipped[reason]:,} {words} (first: {', '.join(self.examples[reason])})"
            for reason, words in SKIPPED.items()
            if reason in self.skipped
        ]


def standard_library() -> Path:
    """The folder of the running interpreter's own library."""
    return Path(sysconfig.get_path("stdlib"))


def list_sources(root: Path, suffixes: Sequence[str], report: TreeReport) -> list[str]:
    """Paths below `root` of the files that end in one of `suffixes`, sorted by their parts, with `/` between them.

    Hidden files and folders and `__pycache__` are passed over in silence, everything else that is left out is counted
    in `report`.

    Raises UserError where `root` is no folder, or a suffix does not begin with a dot.
    """
    if not root.is_dir():
        raise UserError(f"{root} is no folder: give the root of a source tree")
    for suffix in suffixes:
        if not re.fullmatch(r"\.\w+", suffix):
            raise UserError(f"'{suffix}' is no file suffix: write it with its dot, such as .py")
    paths = []
    for path in _paths(root, report):
        reason = _reason_by_path(root / path, PurePosixPath(path), suffixes)
        if reason is None:
            paths.append(path)
        else:
            report.skip(reason, path)
    return paths


def _paths(root: Path, report: TreeReport) -> Iterator[str]:
    for folder, subfolders, files in os.walk(root):
        below = Path(folder).relative_to(root)
        for name in sorted(_THIRD_PARTY.intersection(subfolders)):
            report.skip("third party", (below / name).as_posix())
        passed_over = _THIRD_PARTY | _NEVER_ENTERED
        subfolders[:] = sorted(name for name in subfolders if not name.startswith(".") and name not in passed_over)
        yield from ((below / name).as_posix() for name in sorted(files) if not name.startswith("."))


def _reason_by_path(file: Path, path: PurePosixPath, suffixes: Sequence[str]) -> str | None:
    if file.is_symlink() or not file.is_file():
        return "link"
    if path.suffix not in suffixes:
        return "other type"
    if any(map(_TEST_FOLDER.fullmatch, path.parts[:-1])) or _TEST_FILE.fullmatch(path.name):
        return "test"
    return "too large" if file.stat().st_size > LARGEST_FILE else None


def read_source(root: Path, path: str, report: TreeReport) -> SourceText | None:
    """The file at `path` (of `list_sources`); None where its content is not to be read, which `report` counts."""
    text, reason = _decoded((root / path).read_bytes(), path)
    reason = reason or _reason_by_text(text, path)
    if reason is None:
        return SourceText(path, text)
    report.skip(reason, path)
    return None


def _decoded(raw: bytes, path: str) -> tuple[str, str | None]:
    """The text and None, or nothing and why it is not read."""
    if b"\0" in raw:
        return "", "binary"
    try:
        encoding = tokenize.detect_encoding(io.BytesIO(raw).readline)[0] if path.endswith(".py") else "utf-8-sig"
        return raw.decode(encoding).replace("\r\n", "\n").replace("\r", "\n"), None
    except (SyntaxError, UnicodeDecodeError, LookupError):
        return "", "undecodable"


def _reason_by_text(text: str, path: str) -> str | None:
    if not text.strip():
        return "blank"
    if _GENERATED.search("\n".join(text.split("\n")[:HEAD_LINES])):
        return "generated"
    if path.endswith(".py") and parsed(text) is None:
        return "not parsable"
    return None
