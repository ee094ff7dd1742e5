"""How much a run will write, which is told before it starts."""

from tokenformer.errors import UserError
from tokenformer.files import free_bytes
from tokenformer.model.flops import model_size
from tokenformer.trainer.run.prepared_run import PreparedRun

BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}


def checkpoint_bytes(run: PreparedRun, stage: int) -> int:
    """Bytes of a checkpoint after `stage` growth events: weights, fp32 copies if there are any, and both moments."""
    of_weight = BYTES[run.config.model.dtype]
    has_copies = run.config.optimizer.accumulate_grad_in_fp32
    of_parameter = of_weight + (4 + 2 * 4 if has_copies else 2 * of_weight)
    return model_size(run.model_configs[stage]).parameters * of_parameter


def checkpoints_at_most(run: PreparedRun, step: int) -> int:
    """Checkpoints that lie on the disk at once, of those that a run writes after `step`."""
    interval, steps = run.config.checkpoints.checkpoint_interval, run.config.steps
    regular = steps // interval - step // interval + (steps % interval > 0)
    keep_last = run.config.checkpoints.keep_last
    if keep_last is not None:
        regular = min(regular, keep_last + 1)  # the oldest goes when the new one is whole
    return regular + sum(rung > step for rung in run.rungs)


def written_sentence(run: PreparedRun, step: int) -> str:
    """How much a run writes that stands after `step`, and how much room there is.

    Raises:
        UserError: there is no room for a single checkpoint.
    """
    folder = run.config.checkpoints_folder
    count, largest = checkpoints_at_most(run, step), checkpoint_bytes(run, len(run.model_configs) - 1)
    free = free_bytes(folder)
    if largest > free:
        raise UserError(
            f"a checkpoint of this run takes {in_bytes(largest)}, and {in_bytes(free)} are free at {folder}: make "
            "room, or choose another checkpoints.checkpoints_path"
        )
    line = f"writes at most {count} checkpoints of up to {in_bytes(largest)}, together {in_bytes(count * largest)}"
    if count * largest > free:
        return f"{line}, and only {in_bytes(free)} are free at {folder}: set checkpoints.keep_last, or make room"
    return f"{line}; {in_bytes(free)} are free at {folder}"


def in_bytes(size: int) -> str:
    for unit, word in ((10**12, "TB"), (10**9, "GB"), (10**6, "MB")):
        if size >= unit:
            return f"{size / unit:.3g} {word}"
    return f"{size:,} bytes"
