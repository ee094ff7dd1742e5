"""`tokenformer` that ends by SIGKILL while it writes a grown checkpoint; run by test_offline_growth.py.

KILLED_AT=weights python killed_in_writing.py grow CHECKPOINT OUT ...
"""

import os
import sys

from tests.support.programs.killed_in_growth import die_at, main  # isort: skip (it starts Nanotron)

from nanotron.serialize import weights

from tokenformer.trainer.checkpoint import written as written_checkpoint

POINTS = {
    "weights": (weights, "save_file", 5),
    "records": (written_checkpoint, "write_atomically", 2),
}

if __name__ == "__main__":
    die_at(*POINTS[os.environ["KILLED_AT"]])
    sys.exit(main(sys.argv[1:]))
