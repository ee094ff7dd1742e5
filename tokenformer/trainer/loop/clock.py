"""How long a run has trained."""

from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic as now

import torch

from tokenformer.devices import default_device


class TrainingClock:
    """Counts the seconds of steps and of growth, of all processes that continued the run one after the other.

    Measurements, checkpoints and the time between two processes do not count: a run that measures more often takes no
    longer by this clock.
    """

    seconds: float = 0.0

    @contextmanager
    def running(self) -> Iterator[None]:
        """Counts while the context lasts, until the device has done what it was given."""
        started = now()
        yield
        if default_device() == "cuda":
            torch.cuda.synchronize()
        self.seconds += now() - started
