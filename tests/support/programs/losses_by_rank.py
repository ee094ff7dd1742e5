"""`tokenformer` whose ranks each write down what their trigger knows in the end; run by test_loss_triggers.py.

The file of a rank is RUNS_FOLDER/rank-N.json: the steps after which it grew, and its losses.
"""

import dataclasses
import json
import os
import sys
from pathlib import Path

from tokenformer.trainer import bootstrap

bootstrap()
from tokenformer.cli import main  # noqa: E402 (only after bootstrap)
from tokenformer.trainer.loop.observers.growing import Growing  # noqa: E402


def write_down(growing, trainer):
    known = {"event_steps": trainer.event_steps, "losses": dataclasses.asdict(growing.losses.history)}
    folder = Path(trainer.run.config.general.runs_folder)
    (folder / f"rank-{os.environ['RANK']}.json").write_text(json.dumps(known))


if __name__ == "__main__":
    Growing.close = write_down
    sys.exit(main(sys.argv[1:]))
