"""The processes of a run end with the `torchrun` that started them."""

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

SECONDS_BETWEEN_LOOKS = 1.0
SECONDS_FOR_THE_STEP = 60.0
STATUS = 128 + signal.SIGTERM


@contextmanager
def ending_with_launcher() -> Iterator[None]:
    """Inside, a process of torchrun is asked to end as by SIGTERM when the launcher dies.

    The run then ends after a whole, saved step. A process that waits for another one, which is gone, is not waited
    for. Without torchrun nothing happens: the shell that started a run may well end before it.
    """
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        yield
        return
    is_left = threading.Event()
    threading.Thread(target=_watch, args=(os.getppid(), is_left), daemon=True).start()
    try:
        yield
    finally:
        is_left.set()


def _watch(launcher: int, is_left: threading.Event) -> None:
    while os.getppid() == launcher:
        if is_left.wait(SECONDS_BETWEEN_LOOKS):
            return
    os.kill(os.getpid(), signal.SIGTERM)
    if is_left.wait(SECONDS_FOR_THE_STEP):
        return
    print(
        "tokenformer: torchrun has died, and this process waits for others that are gone", file=sys.stderr, flush=True
    )
    os._exit(STATUS)
