"""A signal ends a verb within a second: what is half-written is removed, and the status says which signal it was."""

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from tokenformer.console import printable

GRACE_SECONDS = 1.0
"""A computation that does not come back to the interpreter, such as the training of a tokenizer, is not waited for."""


class EndedBySignal(BaseException):
    """SIGINT or SIGTERM arrived."""

    def __init__(self, number: int):
        self.status = 128 + number
        self.line = f"ended by {signal.Signals(number).name}; the same command starts again"
        super().__init__(self.line)


def say(message: str) -> None:
    print(printable(f"tokenformer: {message}"), file=sys.stderr, flush=True)


@contextmanager
def raised_signals() -> Iterator[None]:
    """SIGINT and SIGTERM raise EndedBySignal inside; the process ends after GRACE_SECONDS where that does not help."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    is_left = threading.Event()
    threading.Thread(target=_end_late, args=(reader, is_left), daemon=True).start()
    handlers = {number: signal.signal(number, _raise) for number in (signal.SIGINT, signal.SIGTERM)}
    woken = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    try:
        yield
    finally:
        is_left.set()
        signal.set_wakeup_fd(woken)
        for number, handler in handlers.items():
            signal.signal(number, handler)
        os.close(writer)


def _raise(number: int, frame: FrameType | None) -> None:
    for other in (signal.SIGINT, signal.SIGTERM):
        signal.signal(other, signal.SIG_IGN)  # what is half-written is being removed
    raise EndedBySignal(number)


def _end_late(reader: int, is_left: threading.Event) -> None:
    """Runs in a thread of its own: ends the process when a signal came and the work did not stop in time."""
    while arrived := os.read(reader, 1):
        if arrived[0] in (signal.SIGINT, signal.SIGTERM) and not is_left.wait(GRACE_SECONDS):
            ended = EndedBySignal(arrived[0])
            say(ended.line)
            os._exit(ended.status)
    os.close(reader)
