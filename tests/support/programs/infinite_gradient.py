"""`tokenformer` in which a gradient is not finite at some steps; run by test_divergence.py.

INFINITE_AT=6,7 python infinite_gradient.py train CONFIG ...       INFINITE_ONCE=FILE: only while there is no such file
"""

import os
import sys
from pathlib import Path

from tokenformer.trainer import bootstrap

bootstrap()
from tokenformer.cli import main  # noqa: E402 (only after bootstrap)
from tokenformer.trainer.loop.trainer import TokenformerTrainer  # noqa: E402

STEPS = {int(step) for step in os.environ["INFINITE_AT"].split(",")}
ONCE = os.environ.get("INFINITE_ONCE")
honest = TokenformerTrainer.training_step


def training_step(trainer, dataloader):
    parameter = next(trainer.unwrapped_model.parameters())
    is_due = trainer.iteration_step in STEPS and not (ONCE and Path(ONCE).exists())
    hook = parameter.register_hook(lambda gradient: gradient * float("nan")) if is_due else None
    try:
        return honest(trainer, dataloader)
    finally:
        if hook is not None:
            hook.remove()
            if ONCE:
                Path(ONCE).touch()


TokenformerTrainer.training_step = training_step

if __name__ == "__main__":
    sys.exit(main())
