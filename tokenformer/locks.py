"""A lock that one process holds at a time, on this machine and on others that see the same folder."""

import errno
import fcntl
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tokenformer.errors import UserError

MARK = "tokenformer"
"""First line of a lock's file, which says whose it is."""

_UNKNOWN_TO_THE_FILE_SYSTEM = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)


class InUse(UserError):
    """Another process holds the lock."""


@contextmanager
def held(path: Path, what: str) -> Iterator[None]:
    """Holds the lock of a file, which says the host and the process and is removed at the end.

    The operating system takes the lock from a process that dies, so none has to be cleared away by hand.

    Args:
        what: is locked, for people: "the run runs/mine".

    Raises:
        InUse: another process holds it; names the process.
    """
    descriptor = _acquired(path, what)
    try:
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{MARK}\n{os.getpid()}\n{socket.gethostname()}\n".encode(), 0)
        yield
    finally:
        path.unlink(missing_ok=True)  # while it is held, so that nobody waits for a file without a name
        os.close(descriptor)


def _acquired(path: Path, what: str) -> int:
    while True:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
        except FileNotFoundError:
            continue  # its holder has just removed the folder
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = _owner(os.pread(descriptor, 1000, 0))
            os.close(descriptor)
            raise InUse(f"{what} is in use by {owner}: wait for its end, or end it") from None
        except OSError as error:
            if error.errno not in _UNKNOWN_TO_THE_FILE_SYSTEM:
                os.close(descriptor)
                raise
            print(f"note: {path} cannot be locked here; start nothing else on {what}", file=sys.stderr, flush=True)
            return descriptor
        if _has_name(descriptor, path):
            return descriptor
        os.close(descriptor)


def _owner(content: bytes) -> str:
    mark, *rest = content.decode("utf-8", "replace").splitlines() or [""]
    return f"process {rest[0]} on {rest[1]}" if mark == MARK and len(rest) == 2 else "another process"


def _has_name(descriptor: int, path: Path) -> bool:
    """Tells whether the file still has its name: its last holder may have removed it while we waited."""
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except FileNotFoundError:
        return False
