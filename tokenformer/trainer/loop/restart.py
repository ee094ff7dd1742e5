"""A run that diverged starts again at its newest checkpoint, a few times."""

import os
import sys
from typing import NoReturn

from tokenformer.config.sections import Optimizer
from tokenformer.devices import process_rank

RESTARTS = "TOKENFORMER_RESTARTS"
"""Variable of the environment that counts the restarts of a process."""

_ATTEMPT = "TORCHELASTIC_RESTART_COUNT"
"""Variable of torchrun by which processes of one attempt find each other."""


def may_restart(optimizer: Optimizer) -> bool:
    """Tells whether the config wants a restart, and not too many were made."""
    wanted = optimizer.on_divergence == "restart_from_checkpoint"
    return wanted and _made() < optimizer.most_divergences


def restart(why: str) -> NoReturn:
    """Puts the same command in the place of this process, which every process of the run does together.

    Training is deterministic, so a restart helps against a fault of the machine; the same text at the same rate
    diverges again.
    """
    made = _made() + 1
    if process_rank() == 0:
        print(f"{why}. Restart {made} from the newest checkpoint", file=sys.stderr, flush=True)
    os.environ[RESTARTS] = str(made)
    if _ATTEMPT in os.environ:
        os.environ[_ATTEMPT] = str(int(os.environ[_ATTEMPT]) + 1)
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])


def _made() -> int:
    return int(os.environ.get(RESTARTS, "0"))
