"""Files and folders that are either whole or absent."""

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tokenformer.errors import UserError
from tokenformer.locks import held

_TEMPORARY = ".tokenformer.temporary"
_LOCK, _PARTIAL, _REPLACED, _KEPT = "lock", "partial", "replaced", "kept"


def write_atomically(path: Path, content: str | bytes) -> None:
    """Write `content` (text as UTF-8) to `path`, through a temporary file beside it.

    A reader, or a run after a crash, sees the old file or the new one and never a part of it.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}{_TEMPORARY}")
    try:
        with disk_errors_named(path), temporary.open("wb") as stream:
            stream.write(content.encode("utf-8") if isinstance(content, str) else content)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    _sync(path.parent)


@contextmanager
def disk_errors_named(place: Path) -> Iterator[None]:
    """Errors of the disk are raised with the path, those of libraries too that have kinds of their own.

    torch says "unexpected pos 64 vs 0" or "iostream error" where the disk is full, and safetensors "os error 28".

    Raises:
        OSError: with the path, if it had none.
        UserError: in place of a library's error of the disk.
    """
    try:
        yield
    except OSError as error:
        if error.errno is None or error.filename is not None:
            raise
        raise OSError(error.errno, error.strerror, str(place)) from error
    except Exception as error:
        if not re.search(r"unexpected pos|PytorchStreamWriter|iostream error|\(os error \d+\)", str(error)):
            raise
        free, reason = free_bytes(place), " ".join(str(error).split("\n")[0].split())
        raise UserError(f"{place} cannot be written, and {free:,} bytes are free there: {reason}") from error


def free_bytes(place: Path) -> int:
    """Free bytes of the disk on which a path lies or will lie."""
    return shutil.disk_usage(next(path for path in (place, *place.absolute().parents) if path.exists())).free


def clear_temporary(folder: Path) -> None:
    """Removes the temporary files in a folder whose processes died before they were whole."""
    for path in folder.glob(f".*{_TEMPORARY}") if folder.is_dir() else ():
        process = path.name.removesuffix(_TEMPORARY).rpartition(".")[2]
        if process.isdecimal() and path.is_file() and not path.is_symlink() and not _is_running(int(process)):
            path.unlink(missing_ok=True)


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        pass
    return True


def _sync(path: Path) -> None:
    """Waits until the disk holds a file, or the names in a folder."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_folder(folder: Path) -> None:
    """Waits until the disk holds every file and folder below `folder`, so that no power cut takes them back."""
    for place, _, names in os.walk(folder, topdown=False):
        for name in names:
            if not os.path.islink(os.path.join(place, name)):
                _sync(Path(place, name))
        _sync(Path(place))


def working_folder(output: Path) -> Path:
    """Where everything that becomes `output` lies until it is whole: `.OUTPUT.tokenformer`, beside it."""
    return output.with_name(f".{output.name}.tokenformer")


def kept_folder(output: Path) -> Path:
    """Where work that is done stays if the rest fails, for the next try; gone once the output is whole."""
    return working_folder(Path(os.path.abspath(output))) / _KEPT


@contextmanager
def folder_built_beside(output: Path, overwrite: bool = False) -> Iterator[Path]:
    """Gives an empty folder that becomes `output` if all goes well and is removed if not.

    It lies in the `working_folder`, which is locked, so that no two processes build one output. A killed process leaves
    that behind, and the next one clears it. An existing `output` stays as it is until the new one is whole.

    Raises:
        UserError: another process builds the output, something is there that may not be overwritten, the output is a
            link, or something that is not ours has the name of the working folder.
    """
    output = Path(os.path.abspath(output))
    working = working_folder(output)
    _refuse_foreign(working)
    with held(working / _LOCK, f"the output {output}"):
        try:
            partial, replaced = working / _PARTIAL, working / _REPLACED
            _restore(output, replaced)
            _check_place(output, overwrite)
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir()
            try:
                with disk_errors_named(output):
                    yield partial
            except BaseException:
                shutil.rmtree(partial, ignore_errors=True)
                raise
            _give_ordinary_permissions(partial)
            sync_folder(partial)
            _check_place(output, overwrite)  # somebody may have come meanwhile
            if output.exists():
                os.rename(output, replaced)
            os.rename(partial, output)
            _sync(output.parent)
            shutil.rmtree(replaced, ignore_errors=True)
            shutil.rmtree(working / _KEPT, ignore_errors=True)
        finally:
            (working / _LOCK).unlink(missing_ok=True)
            with suppress(OSError):  # not empty: what is kept stays
                working.rmdir()


def _check_place(output: Path, overwrite: bool) -> None:
    if output.is_symlink():
        raise UserError(f"{output} is a link: give the folder that it leads to, or another output")
    if not overwrite:
        refuse_to_replace(output)


def _refuse_foreign(working: Path) -> None:
    """Raises UserError where something else than ours has the name of the working folder."""
    if not working.is_symlink() and not working.exists():
        return
    is_ours = working.is_dir() and not working.is_symlink()
    if not is_ours or {path.name for path in working.iterdir()} - {_LOCK, _PARTIAL, _REPLACED, _KEPT}:
        raise UserError(f"{working} is not of tokenformer, which would work there: move it away")


def _restore(output: Path, replaced: Path) -> None:
    """Puts the old output back where a process was killed between the two renames that replace it."""
    if replaced.exists() and not output.exists():
        os.rename(replaced, output)
    shutil.rmtree(replaced, ignore_errors=True)


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
