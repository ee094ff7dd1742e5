"""`tokenformer` whose second process fails in every evaluation; the first argument says where: before or within."""

import os
import sys

from tokenformer.trainer import bootstrap

bootstrap()
from tokenformer.cli import main  # noqa: E402 (only after bootstrap)
from tokenformer.trainer.loop.live_evaluation import LiveEvaluation  # noqa: E402

METHODS = {"before": "_share", "within": "_answer"}


def fail(*arguments):
    raise MemoryError("there is none left")


if __name__ == "__main__":
    if os.environ["RANK"] == "1":
        setattr(LiveEvaluation, METHODS[sys.argv[1]], fail)
    sys.exit(main(sys.argv[2:]))
