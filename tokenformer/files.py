"""Files and folders that are either whole or absent."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tokenformer.errors import UserError


def write_atomically(path: Path, content: str | bytes) -> None:
    """Write `content` (text as UTF-8) to `path`, through a temporary file beside it.

    A reader, or a run after a crash, sees the old file or the new one and never a part of it.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.temporary")
    try:
        with temporary.open("wb") as stream:
            stream.write(content.encode("utf-8") if isinstance(content, str) else content)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def folder_built_beside(output: Path) -> Iterator[Path]:
    """Gives the empty folder `OUTPUT.partial`, which becomes `output` if all goes well and is removed if not.

    A killed process leaves `OUTPUT.partial` behind; the next one replaces it. An existing `output` stays as it is
    until the new one is whole.
    """
    output = Path(os.path.abspath(output))
    partial = output.with_name(f"{output.name}.partial")
    replaced = output.with_name(f"{output.name}.replaced")
    if replaced.exists():
        if output.exists():
            shutil.rmtree(replaced)
        else:
            os.rename(replaced, output)
    if partial.exists():
        shutil.rmtree(partial)
    partial.mkdir(parents=True)
    try:
        yield partial
    except BaseException:
        shutil.rmtree(partial)
        raise
    _give_ordinary_permissions(partial)
    if output.exists():
        os.rename(output, replaced)
    os.rename(partial, output)
    if replaced.exists():
        shutil.rmtree(replaced)


def _give_ordinary_permissions(folder: Path) -> None:
    """Lets others read the files as they may read any new file; some libraries write files for their owner alone."""
    mode = folder.stat().st_mode & 0o666
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_symlink():
            path.chmod(mode)


def refuse_to_replace(output: Path, remedy: str = "choose another output, or remove it") -> None:
    """Raises UserError, with the remedy, where `output` exists already and is more than an empty folder."""
    if output.is_dir() and not any(output.iterdir()):
        return
    if output.exists() or output.is_symlink():
        raise UserError(f"{output} exists: {remedy}")
