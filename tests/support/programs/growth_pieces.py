"""What each process holds before and after a growth event, written to files; run as a program by each rank.

    python growth_pieces.py FOLDER RUNS train CONFIG

RUNS is a JSON list, of a port and a list of settings for each run. Nothing of the engine under test is used here or in
`whole_parameters`, which joins the files.
"""

import json
import os
import sys
from pathlib import Path

import torch

KINDS = ("weight", "master", "exp_avg", "exp_avg_sq")


def pieces_of(trainer) -> dict:
    from nanotron.optim.zero import ZeroDistributedOptimizer

    optimizer, accumulator, context = trainer.optimizer, trainer.grad_accumulator, trainer.parallel_context
    adam = {optimizer.id_to_name[id(param)]: state for param, state in optimizer.get_base_optimizer().state.items()}
    groups = {
        optimizer.id_to_name[id(param)]: (group["lr"], group["weight_decay"])
        for group in optimizer.get_base_optimizer().param_groups
        for param in group["params"]
    }
    parameters = {}
    for name, param in trainer.unwrapped_model.get_named_params_with_correct_tied():
        info = param.get_sharded_info() if param.is_sharded else None
        state = adam.get(name, {})
        master = accumulator.parameters.get(name) if accumulator is not None else None
        is_zero = isinstance(optimizer, ZeroDistributedOptimizer)
        parameters[name] = {
            "weight": param.detach().clone(),
            "master": None if master is None else master["fp32"].detach().clone(),
            "exp_avg": state["exp_avg"].clone() if state else None,
            "exp_avg_sq": state["exp_avg_sq"].clone() if state else None,
            "step": state["step"].item() if state else None,
            "group": groups.get(name),
            "sharded": info and [(pair.local_slices, pair.global_slices) for pair in info.local_global_slices_pairs],
            "whole_shape": tuple(info.unsharded_shape if info else param.shape),
            "slices": optimizer.param_name_to_dp_rank_offsets[name] if is_zero else None,
        }
    ranks = (group.rank() for group in (context.dp_pg, context.pp_pg, context.tp_pg))
    return {"ranks": tuple(ranks), "parameters": parameters}


def _joined_shards(parts: list[torch.Tensor], described: list[dict]) -> torch.Tensor:
    """Parts of the tensor-parallel ranks; where each has the whole they are equal."""
    if described[0]["sharded"] is None:
        assert all(torch.equal(part, parts[0]) for part in parts)
        return parts[0]
    whole = torch.full(described[0]["whole_shape"], torch.nan, dtype=parts[0].dtype)
    for part, each in zip(parts, described, strict=True):
        for local, where in each["sharded"]:
            whole[where] = part[local]
    return whole


def _joined_replicas(replicas: list[dict], kind: str) -> torch.Tensor | None:
    """One shard, from all replicas; where each has the whole shard they are equal."""
    first = replicas[0]
    parts = [replica[kind] for replica in replicas if replica[kind] is not None]
    if not parts:
        return None
    if kind == "weight" or first["slices"] is None:
        assert len(parts) == len(replicas) and all(torch.equal(part, parts[0]) for part in parts)
        return parts[0]
    flat = torch.full((first["weight"].numel(),), torch.nan, dtype=parts[0].dtype)
    for rank, replica in enumerate(replicas):
        if rank in first["slices"]:
            start, end = first["slices"][rank]
            flat[start:end] = replica[kind]
    return flat.view(first["weight"].shape)


def whole_parameters(paths: list[Path]) -> dict[str, dict]:
    """By name: each of KINDS as a whole tensor or None, Adam's `step`, and the `group`'s rate and decay."""
    files = [torch.load(path, weights_only=False) for path in paths]
    by_ranks = {file["ranks"]: file["parameters"] for file in files}
    replicas, stages, shards = (sorted({ranks[axis] for ranks in by_ranks}) for axis in range(3))
    whole = {}
    for stage in stages:
        for name in by_ranks[0, stage, 0]:
            grid = [[by_ranks[dp, stage, tp][name] for dp in replicas] for tp in shards]
            found = {}
            for kind in KINDS:
                parts = [_joined_replicas(column, kind) for column in grid]
                found[kind] = None if parts[0] is None else _joined_shards(parts, [column[0] for column in grid])
            for key in ("step", "group"):
                (found[key],) = {each[key] for column in grid for each in column if each[key] is not None}
            if name in whole:  # tied over pipeline stages
                for key, value in found.items():
                    other = whole[name][key]
                    assert torch.equal(value, other) if isinstance(value, torch.Tensor) else value == other
            whole[name] = found
    return whole


def main(folder: Path, runs: list, arguments: list[str]) -> int:
    from tokenformer.trainer import bootstrap

    bootstrap()
    from tests.support.training.doubled_layers import DoubledLayers
    from tokenformer.cli import main
    from tokenformer.growth import OPERATORS
    from tokenformer.trainer.loop.observers import growing

    OPERATORS.enter(DoubledLayers)
    grow, rank = growing.grow, os.environ.get("RANK", "0")

    def watched_grow(trainer, *details):
        stage = len(trainer.event_steps) + 1
        run = folder / trainer.run.config.general.run
        run.mkdir(parents=True, exist_ok=True)
        torch.save(pieces_of(trainer), run / f"{stage}-before-{rank}.pt")
        grow(trainer, *details)
        torch.save(pieces_of(trainer), run / f"{stage}-after-{rank}.pt")

    growing.grow = watched_grow
    for port, settings in runs:
        os.environ["MASTER_PORT"] = str(port)
        status = main([*arguments, *(part for setting in settings for part in ("--set", setting))])
        if status:
            return status
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), json.loads(sys.argv[2]), sys.argv[3:]))
