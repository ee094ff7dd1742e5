"""The list of a folder's files, with size and hash of each, by which damage is noticed.

It is `checksums.json` in the folder, written when everything else is there. The hash is XXH3 of 128 bits, which is
faster than any disk; it finds damage, and is no protection against an attacker.
"""

import json
import os
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

from tokenformer.devices import process_rank
from tokenformer.errors import UserError
from tokenformer.files import write_atomically

CHECKSUMS = "checksums.json"
VERSION = 1
_BYTES_AT_ONCE = 2**21
_THREADS = 8

_noted: set[Path] = set()
"""Folders without checksums of which people were told."""

_is_compared: ContextVar[bool] = ContextVar("checksums are compared", default=True)


@contextmanager
def without_comparison() -> Iterator[None]:
    """Inside, folders are opened without a look at their checksums."""
    token = _is_compared.set(False)
    try:
        yield
    finally:
        _is_compared.reset(token)


def write_checksums(folder: Path) -> None:
    """Lists every file below the folder, in `checksums.json`."""
    files = _measured(folder, [path for path in sorted(folder.rglob("*")) if path.is_file()])
    files.pop(CHECKSUMS, None)
    content = {"version": VERSION, "hash": "xxh3-128", "files": files}
    content["of this list"] = _hash_of(content)
    write_atomically(folder / CHECKSUMS, json.dumps(content, indent=1) + "\n")


def damage(folder: Path) -> str | None:
    """Says how the first damaged file of a folder is damaged, with its path; None where all are as they were written.

    A folder without checksums, of an older version or of another program, counts as whole; a line on stderr says so.
    Files that are not listed are not looked at. Of the processes of a run the first one looks for all.

    Raises:
        UserError: the list is of a newer version.
    """
    if not _is_compared.get() or process_rank() > 0:
        return None
    path = folder / CHECKSUMS
    if not path.is_file():
        if folder not in _noted:
            _noted.add(folder)
            note = f"note: {folder} has no {CHECKSUMS}, so damage to it would not be noticed"
            print(note, file=sys.stderr, flush=True)
        return None
    listed = _listed(path)
    if listed is None:
        return f"{path} is damaged"
    missing = next((name for name in listed if not (folder / name).is_file()), None)
    if missing is not None:
        return f"{folder / missing} is missing"
    sizes = {name: (folder / name).stat().st_size for name in listed}
    cut = next((name for name, (size, _) in listed.items() if sizes[name] != size), None)
    if cut is not None:
        return f"{folder / cut} was not copied whole or was changed: it has {sizes[cut]} bytes and had {listed[cut][0]}"
    measured = _measured(folder, [folder / name for name in listed])
    changed = next((name for name in listed if measured[name] != listed[name]), None)
    return None if changed is None else f"{folder / changed} is damaged: its checksum is not that of {path}"


def _listed(path: Path) -> dict[str, list] | None:
    """Size and hash of each file by its name; None for a list that is damaged itself."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        version, files, expected = content["version"], content["files"], content.pop("of this list")
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    if version != VERSION:
        raise UserError(
            f"{path} has version {version}, and this tokenformer reads version {VERSION}: update it, or open the "
            "folder with --no-verify"
        )
    return files if _hash_of(content) == expected else None


def _hash_of(content: dict) -> str:
    from xxhash import xxh3_128_hexdigest

    return xxh3_128_hexdigest(json.dumps(content, sort_keys=True).encode())


def _measured(folder: Path, paths: list[Path]) -> dict[str, list]:
    """Size and hash of files by their names in the folder; several are read at once."""
    with ThreadPoolExecutor(min(_THREADS, os.cpu_count() or 1)) as threads:
        names = [path.relative_to(folder).as_posix() for path in paths]
        return dict(zip(names, threads.map(_size_and_hash, paths), strict=True))


def _size_and_hash(path: Path) -> list:
    from xxhash import xxh3_128

    digest, buffer, size = xxh3_128(), bytearray(_BYTES_AT_ONCE), 0
    with open(path, "rb", buffering=0) as file:
        while count := file.readinto(buffer):
            digest.update(memoryview(buffer)[:count])
            size += count
    return [size, digest.hexdigest()]
