"""`tokenformer` of which the process STOPPED_RANK gets SIGTERM in its fifth step; run by test_stopping.py."""

import os
import signal
import sys

from tokenformer.trainer import bootstrap

bootstrap()
from tokenformer.cli import main  # noqa: E402 (only after bootstrap)
from tokenformer.trainer.loop.trainer import TokenformerTrainer  # noqa: E402


def post_train_step(trainer):
    if trainer.iteration_step == 5:
        signal.raise_signal(signal.SIGTERM)


if __name__ == "__main__":
    if os.environ["RANK"] == os.environ["STOPPED_RANK"]:
        TokenformerTrainer.post_train_step = post_train_step
    sys.exit(main(sys.argv[1:]))
