"""Counts the memory that a growth event needs, and refuses it where there is not enough."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.distributed
from nanotron.optim.zero import ZeroDistributedOptimizer
from nanotron.trainer import DistributedTrainer

from tokenformer.devices import process_rank
from tokenformer.errors import UserError
from tokenformer.growth.operator import Transition
from tokenformer.model.flops import model_size
from tokenformer.trainer.checkpoint.records import latest_checkpoint
from tokenformer.trainer.growing.live_state import unwrapped


def bytes_of_training(parameters: int, itemsize: int, has_master: bool, replicas: int) -> int:
    """Weights, gradients and optimizer state of so many parameters, without activations.

    Args:
        itemsize: bytes of a weight.
        has_master: whether gradients are accumulated in fp32, beside fp32 copies of the weights.
        replicas: over how many processes ZeRO-1 spreads the optimizer's state; 1 without.
    """
    gradients = itemsize + (4 if has_master else 0)
    optimizer = 3 * 4 if has_master else 2 * itemsize
    return parameters * (itemsize + gradients) + -(-parameters * optimizer // replicas)


def bytes_needed(trainer: DistributedTrainer, transition: Transition) -> int:
    """Memory of training the grown model in this process, if it holds the share of parameters that it held before."""
    held = sum(param.numel() for param in unwrapped(trainer.model).parameters())
    before, after = (model_size(config).parameters for config in (transition.before, transition.after))
    is_sharded = isinstance(trainer.optimizer, ZeroDistributedOptimizer)
    return bytes_of_training(
        parameters=-(-held * after // before),
        itemsize=trainer.config.model.dtype.itemsize,
        has_master=trainer.grad_accumulator is not None,
        replicas=trainer.parallel_context.dp_pg.size() if is_sharded else 1,
    )


def _is_lack_of_memory(error: Exception) -> bool:
    """torch raises OutOfMemoryError for a GPU, and for a CPU a RuntimeError that only its text tells apart."""
    words = ("allocate memory", "out of memory")
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or any(word in str(error).lower() for word in words)


@contextmanager
def explained_when_out_of_memory(trainer: DistributedTrainer, transition: Transition) -> Iterator[None]:
    """Says what a growth event would have needed, and where the run can go on.

    Raises:
        UserError: in place of an allocator's error.
    """
    needed, step = bytes_needed(trainer, transition), trainer.iteration_step - 1
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not _is_lack_of_memory(error):
            raise
        latest = latest_checkpoint(trainer.run.config.checkpoints_folder)
        kept = (
            "there is no checkpoint yet" if latest is None else f"the checkpoint {latest} is whole and can be resumed"
        )
        sizes = [f"{model_size(config).parameters:,}" for config in (transition.before, transition.after)]
        message = (
            f"out of memory at the growth event after step {step}: from {sizes[0]} to {sizes[1]} parameters. Weights, "
            f"gradients and optimizer state of the grown model take about {needed:,} bytes in each process, and "
            f"activations come on top; {kept}. Start again with more memory or more processes ({_first_line(error)})"
        )
        if process_rank() != 0:  # the command line speaks for rank 0 alone
            print(f"tokenformer: rank {process_rank()}: {message}", file=sys.stderr, flush=True)
        raise UserError(message) from error


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
