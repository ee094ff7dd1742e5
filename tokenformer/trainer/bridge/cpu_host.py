"""Answers without CUDA where Nanotron asks `torch.cuda`, and starts the process group that it would not."""

import contextlib
import functools
import os
import socket
from collections.abc import Callable
from types import ModuleType

import torch
import torch.distributed

from tokenformer.devices import default_device, process_count
from tokenformer.trainer.bridge.repairs import replace

COLLECTIVES = "collectives on parameters, and of uneven sizes, take a way that gloo can go"


class CpuAccelerator:
    """Stands where Nanotron's modules say `torch.cuda`. Devices and streams do not exist, memory counters are 0."""

    @staticmethod
    def is_available() -> bool:
        return False

    @staticmethod
    def device_count() -> int:
        return 0

    @staticmethod
    def device(index) -> contextlib.AbstractContextManager:
        return contextlib.nullcontext(index)

    def _nothing(self, *args, **kwargs) -> None:
        """The call has no meaning on a CPU and no result."""

    set_device = synchronize = empty_cache = reset_peak_memory_stats = _nothing

    def _zero_bytes(self, *args, **kwargs) -> int:
        return 0

    memory_allocated = max_memory_allocated = memory_reserved = max_memory_reserved = _zero_bytes

    def __getattr__(self, name: str):
        raise AttributeError(f"Nanotron uses torch.cuda.{name}, which has no counterpart on a machine without CUDA")


accelerator = CpuAccelerator()


def _in_place(collective: Callable) -> Callable:
    """The collective on a view without gradient: gloo refuses to write into parameters, NCCL does not mind.

    In a group of one there is nothing to do. Nanotron asks for a sum of each gradient there too, and gloo would take a
    fifth of a millisecond for each.
    """

    @functools.wraps(collective)
    def wrapper(tensor, *args, group=None, async_op=False, **kwargs):
        if group is not None and group.size() == 1 and not async_op:
            return None
        return collective(tensor.detach(), *args, group=group, async_op=async_op, **kwargs)

    return wrapper


def _all_gather_uneven(
    output_tensor_lists: list[list[torch.Tensor]], input_tensor_list: list[torch.Tensor], group
) -> None:
    """Gathers a list of tensors whose sizes differ from rank to rank, by one broadcast a rank.

    ZeRO-1 cuts a parameter of odd size unevenly; gloo's own all_gather takes equal sizes alone, NCCL's any.

    Args:
        output_tensor_lists: for each tensor, where the part of each rank goes.
        input_tensor_list: for each tensor, this rank's part.
    """
    for source in range(group.size()):
        outputs = [parts[source] for parts in output_tensor_lists]
        parts = input_tensor_list if source == group.rank() else outputs
        buffer = torch.cat([part.detach().reshape(-1) for part in parts])
        torch.distributed.broadcast(buffer, torch.distributed.get_global_rank(group, source), group=group)
        for output, part in zip(outputs, buffer.split([output.numel() for output in outputs]), strict=True):
            output.detach().copy_(part.view_as(output))


def mend_collectives(nanotron_distributed: ModuleType) -> None:
    """Makes the collectives that Nanotron calls on parameters work over gloo; torch's own stay as they are."""
    for name in ("all_reduce", "broadcast"):
        replace(nanotron_distributed, name, _in_place(getattr(torch.distributed, name)), COLLECTIVES)
    replace(nanotron_distributed, "all_gather_coalesced", _all_gather_uneven, COLLECTIVES)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def ensure_launch_environment() -> None:
    """Makes a plain `python -m tokenformer` look like `torchrun --nproc-per-node 1`."""
    defaults = {"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "1", "MASTER_ADDR": "127.0.0.1"}
    for name, value in defaults.items():
        os.environ.setdefault(name, value)
    if "MASTER_PORT" not in os.environ:
        os.environ["MASTER_PORT"] = str(_free_port())
    # Nanotron's asynchronous tensor-parallel communication asserts this variable.
    os.environ.setdefault("CUDA_DEVICE_MAX_CONNECTIONS", "1")


def ensure_process_group() -> None:
    """Starts gloo where there is no CUDA; with CUDA Nanotron starts NCCL itself."""
    ensure_launch_environment()
    if default_device() == "cuda" or torch.distributed.is_initialized():
        return
    if process_count() == 1:  # nobody to meet, so no port that another program could have taken meanwhile
        torch.distributed.init_process_group("gloo", store=torch.distributed.HashStore(), rank=0, world_size=1)
    else:
        torch.distributed.init_process_group("gloo")
