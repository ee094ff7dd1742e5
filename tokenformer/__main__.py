"""`python -m tokenformer` and `torchrun -m tokenformer`."""

import sys

from tokenformer.cli import main

sys.exit(main())
