"""The microbatches of one process, in the order of the sample plan."""

from collections.abc import Callable, Iterator

import numpy as np
import torch
from nanotron import distributed as dist
from nanotron.parallel import ParallelContext
from nanotron.parallel.pipeline_parallel.tensor_pointer import TensorPointer
from torch.utils.data import DataLoader, Dataset

from tokenformer.config.sections import RunConfig

Microbatch = dict[str, "torch.Tensor | TensorPointer"]


def sample_indices(config: RunConfig, dp_rank: int, first_step: int) -> Iterator[list[int]]:
    """The samples of each microbatch of a data-parallel rank, from the step `first_step` (0-based) to the last.

    A step reads the next `global_batch_size` samples of the plan, whatever the layout; they are dealt out microbatch by
    microbatch, rank by rank.
    """
    size, ranks = config.tokens.micro_batch_size, config.parallelism.dp
    for step in range(first_step, config.steps):
        for microbatch in range(config.tokens.batch_accumulation_per_replica):
            start = step * config.global_batch_size + (microbatch * ranks + dp_rank) * size
            yield list(range(start, start + size))


def as_microbatch(samples: np.ndarray, mask: np.ndarray, context: ParallelContext, input_rank: int, output_rank: int):
    """Samples [batch, length + 1] and a label mask [batch, length] as what a Nanotron model takes.

    Ids and labels stand on the pipeline ranks that read them; the others get pointers to those ranks.
    """
    rank = dist.get_rank(context.pp_pg)
    batch: Microbatch = {
        "input_ids": TensorPointer(input_rank),
        "input_mask": TensorPointer(input_rank),
        "label_ids": TensorPointer(output_rank),
        "label_mask": TensorPointer(output_rank),
    }
    if rank == input_rank:
        batch["input_ids"] = torch.from_numpy(np.ascontiguousarray(samples[:, :-1]))
        batch["input_mask"] = torch.ones(samples.shape[0], samples.shape[1] - 1, dtype=torch.bool)
    if rank == output_rank:
        batch["label_ids"] = torch.from_numpy(np.ascontiguousarray(samples[:, 1:]))
        batch["label_mask"] = torch.from_numpy(mask)
    return batch


def in_pieces(samples: np.ndarray, length: int) -> np.ndarray:
    """Samples [batch, whole + 1] as [batch * whole / length, length + 1]; neighbours share a token, as samples do."""
    windows = np.lib.stride_tricks.sliding_window_view(samples, length + 1, axis=1)
    return windows[:, ::length].reshape(-1, length + 1)


def _stack(samples: list[dict[str, np.ndarray]]) -> np.ndarray:
    return np.stack([sample["input_ids"] for sample in samples])


def training_batches(
    config: RunConfig,
    dataset: Dataset,
    context: ParallelContext,
    input_rank: int,
    output_rank: int,
    first_step: int,
    context_length: Callable[[int], int] | None = None,
) -> Iterator[Microbatch]:
    """Every microbatch of this process from the step `first_step` (0-based) on; the same for any number of workers.

    Args:
        context_length: tokens of context in a step (0-based), into which its samples are cut; None leaves them whole.
    """
    loader = DataLoader(
        dataset,
        batch_sampler=sample_indices(config, dist.get_rank(context.dp_pg), first_step),
        collate_fn=_stack,
        num_workers=config.data_stages[0].data.num_loading_workers,
        generator=torch.Generator(),  # the loader draws a seed for its workers; not from the run's generator
    )
    for number, samples in enumerate(loader):
        if context_length is not None:
            step = first_step + number // config.tokens.batch_accumulation_per_replica
            samples = in_pieces(samples, context_length(step))
        mask = np.ones((samples.shape[0], samples.shape[1] - 1), dtype=np.bool_)
        yield as_microbatch(samples, mask, context, input_rank, output_rank)
