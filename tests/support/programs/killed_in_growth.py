"""`tokenformer` that one rank leaves by SIGKILL in the middle of a growth event; run by test_growth_failure.py.

KILLED_RANK=1 KILLED_AT=filling python killed_in_growth.py train CONFIG ...
"""

import os
import signal
import sys

from tokenformer.trainer import bootstrap

bootstrap()
from tokenformer.cli import main  # noqa: E402 (only after bootstrap)
from tokenformer.trainer.growing import live as live_growth  # noqa: E402
from tokenformer.trainer.growing.live_state import LiveState  # noqa: E402
from tokenformer.trainer.loop.observers.growing import Growing  # noqa: E402

# Owner and name of the function in which a process dies, and in which of its calls.
POINTS = {
    "losses before": (Growing, "_measure_end_of_stage", 1),
    "taking": (LiveState, "_steps", 1),
    "building": (live_growth, "init_optimizer_and_grad_accumulator", 1),
    "gathering": (LiveState, "whole", 9),
    "filling": (live_growth.TrainingPlaces, "fill", 13),
    "schedule": (live_growth, "_go_on_with_schedule", 1),
    "new rates": (Growing, "_slow_down_new_elements", 2),
    "report": (Growing, "_report_event", 1),
}


def die_at(owner, name: str, call: int) -> None:
    """This process ends when a function is called for the `call`-th time."""
    function, calls = getattr(owner, name), 0

    def dying(*arguments, **options):
        nonlocal calls
        calls += 1
        if calls == call:
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*arguments, **options)

    setattr(owner, name, dying)


if __name__ == "__main__":
    if os.environ["RANK"] == os.environ["KILLED_RANK"]:
        die_at(*POINTS[os.environ["KILLED_AT"]])
    sys.exit(main(sys.argv[1:]))
