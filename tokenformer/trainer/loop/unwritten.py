"""A checkpoint that the disk does not take."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tokenformer.devices import process_rank
from tokenformer.errors import UserError
from tokenformer.files import disk_errors_named
from tokenformer.trainer.checkpoint.records import clear_partial, latest_checkpoint


@contextmanager
def whole_or_cleared(folder: Path) -> Iterator[None]:
    """Half of a checkpoint does not stay on a disk that refused the rest of it.

    Args:
        folder: of the run's checkpoints.

    Raises:
        UserError: the disk refused something; names path, reason and newest checkpoint.
    """
    try:
        with disk_errors_named(folder):
            yield
    except (OSError, UserError) as error:
        clear_partial(folder)
        good = latest_checkpoint(folder)
        kept = (
            "there is no checkpoint yet" if good is None else f"{good} is whole, and the same command goes on from it"
        )
        fault = error if isinstance(error, UserError) else f"{error.filename}: {error.strerror or error}"
        message = f"the checkpoint was not written: {fault}; {kept} when there is space"
        if process_rank() != 0:  # the command line speaks for rank 0 alone
            print(f"tokenformer: rank {process_rank()}: {message}", file=sys.stderr, flush=True)
        raise UserError(message) from error
