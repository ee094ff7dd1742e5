"""`tokenformer` whose second rank is slow to write its part of a checkpoint; run by test_rank_checkpoints.py."""

import os
import sys
import time

from tokenformer.trainer import bootstrap

bootstrap()
from nanotron import trainer  # noqa: E402 (only after bootstrap)

from tokenformer.cli import main  # noqa: E402

save_random_states = trainer.save_random_states


def save_late(*args, **kwargs):
    if os.environ["RANK"] == "1":
        time.sleep(0.5)
    save_random_states(*args, **kwargs)


if __name__ == "__main__":
    trainer.save_random_states = save_late
    sys.exit(main(sys.argv[1:]))
