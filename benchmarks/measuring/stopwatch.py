"""Time and memory of a forward and a backward pass, on a CPU and on a GPU.

On a CPU the time is that of the process, which others on the machine disturb little; on a GPU `triton.testing` empties
the cache before each run and takes the median. Repetitions of all that is compared take turns, so that what is slow for
a while is slow for all of them.
"""

import statistics
import time
import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

PASSES = ("forward", "backward", "both")


@dataclass(frozen=True)
class Subject:
    """The work that is measured: `function(*inputs)`, differentiated with `incoming`."""

    function: Callable[..., Tensor]
    inputs: list[Tensor]
    incoming: Tensor

    def forward(self) -> Tensor:
        return self.function(*self.inputs)

    def backward(self, output: Tensor) -> None:
        torch.autograd.grad(output, self.inputs, self.incoming)


@dataclass(frozen=True)
class Memory:
    """Bytes, beyond the inputs: kept from forward to backward (with the output), and at the worst moment."""

    kept: int
    peak: int


def cpu_milliseconds(subjects: Mapping[str, Subject], seconds: float) -> dict[str, dict[str, list[float]]]:
    """Milliseconds of process time of every repetition, by subject and pass, three repetitions or as time allows."""
    found = {name: {passed: [] for passed in PASSES} for name in subjects}
    for subject in subjects.values():  # first touch of memory, and whatever is compiled
        subject.backward(subject.forward())
    end, rounds = time.monotonic() + seconds, 0
    while rounds < 3 or time.monotonic() < end:
        for name, subject in subjects.items():
            start = time.process_time()
            output = subject.forward()
            middle = time.process_time()
            subject.backward(output)
            del output
            durations = middle - start, time.process_time() - middle
            for passed, duration in zip(PASSES, (*durations, sum(durations)), strict=True):
                found[name][passed].append(1000 * duration)
        rounds += 1
    return found


def gpu_milliseconds(
    subjects: Mapping[str, Subject], rounds: int = 3, milliseconds: int = 100
) -> dict[str, dict[str, list[float]]]:
    """Median milliseconds of `triton.testing.do_bench`, once a round, by subject and pass.

    The backward pass is what both take longer than the forward pass: alone it would find the cache empty.
    """
    from triton.testing import do_bench

    def median(function: Callable) -> float:
        return do_bench(function, rep=milliseconds, return_mode="median")

    found = {name: {passed: [] for passed in PASSES} for name in subjects}
    for _ in range(rounds):
        for name, subject in subjects.items():
            forward = median(subject.forward)
            both = median(lambda subject=subject: subject.backward(subject.forward()))
            for passed, duration in zip(PASSES, (forward, both - forward, both), strict=True):
                found[name][passed].append(duration)
    return found


def quantiles(values: list[float]) -> tuple[float, float, float]:
    """Median, and the fifths of the values that are lower and higher."""
    if len(values) == 1:
        return values[0], values[0], values[0]
    fifths = statistics.quantiles(values, n=5, method="inclusive")
    return statistics.median(values), fifths[0], fifths[-1]


class LiveTensors(TorchDispatchMode):
    """Counts the bytes of all tensors that operations make while it is entered, except known ones."""

    def __init__(self, known: list[Tensor]):
        super().__init__()
        self._known = {tensor.untyped_storage()._cdata for tensor in known}
        self._live: dict[int, int] = {}
        self.bytes = self.peak = 0

    def __torch_dispatch__(self, operation, types, arguments=(), options=None):
        result = operation(*arguments, **(options or {}))
        for leaf in tree_leaves(result):
            if isinstance(leaf, Tensor):
                self._see(leaf.untyped_storage())
        return result

    def _see(self, storage: torch.UntypedStorage) -> None:
        key = storage._cdata
        if key not in self._live and key not in self._known:
            self._live[key] = storage.nbytes()
            self.bytes += storage.nbytes()
            self.peak = max(self.peak, self.bytes)
            weakref.finalize(storage, self._forget, key)

    def _forget(self, key: int) -> None:
        self.bytes -= self._live.pop(key)


def cpu_memory(subject: Subject) -> Memory:
    """Peak memory of eager code; what compiled code allocates is not seen."""
    with LiveTensors([*subject.inputs, subject.incoming]) as live:
        output = subject.forward()
        kept = live.bytes
        subject.backward(output)
    return Memory(kept, live.peak)


def gpu_memory(subject: Subject) -> Memory:
    subject.backward(subject.forward())
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    output = subject.forward()
    kept = torch.cuda.memory_allocated() - before
    subject.backward(output)
    return Memory(kept, torch.cuda.max_memory_allocated() - before)
