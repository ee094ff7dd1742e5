"""Which device computes, and which process of the run this one is, as `torchrun` says in the environment."""

import os

from tokenformer.errors import UserError

DEVICES = ("cpu", "cuda")

_used: str | None = None


def default_device() -> str:
    """The device that this process was told to use; else "cuda" where torch sees a GPU, "cpu" elsewhere."""
    import torch

    return _used or ("cuda" if torch.cuda.is_available() else "cpu")


def use_device(device: str) -> None:
    """Makes "cpu" or "cuda" the default device of this process, for Nanotron too if it is not imported yet."""
    global _used
    _used = device


def choose_device(wanted: str | None = None) -> str:
    """The device that is asked for; None is the default one.

    Raises:
        UserError: there is no such device, or this machine has none.
    """
    import torch

    if wanted is None:
        return default_device()
    if wanted not in DEVICES:
        raise UserError(f"the device {wanted!r} is not known; choose {' or '.join(DEVICES)}")
    if wanted == "cuda" and not torch.cuda.is_available():
        raise UserError("the device cuda is not there: torch sees no GPU; choose cpu")
    return wanted


def process_rank() -> int:
    """Number of this process among those of the run, from 0."""
    return int(os.environ.get("RANK", "0"))


def process_count() -> int:
    """Processes of the run."""
    return int(os.environ.get("WORLD_SIZE", "1"))
