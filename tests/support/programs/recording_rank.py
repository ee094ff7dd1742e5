"""`tokenformer` whose ranks write, beside every checkpoint, what they hold at that moment; run by `layout_run`."""

import os
import sys

import torch

from tokenformer.trainer import bootstrap

bootstrap()
from nanotron.optim.zero import ZeroDistributedOptimizer  # noqa: E402 (only after bootstrap)

from tokenformer.cli import main  # noqa: E402
from tokenformer.trainer.loop.trainer import TokenformerTrainer  # noqa: E402

save_checkpoint = TokenformerTrainer.save_checkpoint


def held(trainer) -> dict[str, dict]:
    """Of every parameter: this rank's tensors, their slices of the whole, and the ends of a replica's slice."""
    optimizer, accumulator = trainer.optimizer, trainer.grad_accumulator
    adam = {optimizer.id_to_name[id(param)]: state for param, state in optimizer.get_base_optimizer().state.items()}
    ends = optimizer.param_name_to_dp_rank_offsets if isinstance(optimizer, ZeroDistributedOptimizer) else {}
    replica = torch.distributed.get_rank(trainer.parallel_context.dp_pg)
    result = {}
    for name, param in trainer.unwrapped_model.get_named_params_with_correct_tied():
        masters = accumulator.parameters if accumulator else {}
        result[name] = {
            "weight": param.detach().clone(),
            "moments": {key: tensor.clone() for key, tensor in adam.get(name, {}).items()},
            "master": masters[name]["fp32"].detach().clone() if name in masters else None,
            "slices": [(pair.local_slices, pair.global_slices) for pair in pairs_of(param)],
            "ends": tuple(map(int, ends[name][replica])) if replica in ends.get(name, {}) else None,
        }
    return result


def pairs_of(param):
    return param.get_sharded_info().local_global_slices_pairs if param.is_sharded else ()


def save_and_record(trainer):
    folder = save_checkpoint(trainer)
    torch.save(held(trainer), trainer.run.config.run_folder / f"held-{folder.name}-{os.environ['RANK']}.pt")
    return folder


if __name__ == "__main__":
    TokenformerTrainer.save_checkpoint = save_and_record
    sys.exit(main(sys.argv[1:]))
