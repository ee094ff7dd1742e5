"""`tokenformer` on a disk that takes no file above a size; run by test_full_disk.py.

LARGEST_FILE=100000 python small_files.py train CONFIG ...
"""

import os
import resource
import sys

from tokenformer.cli import main

if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(os.environ["LARGEST_FILE"]),) * 2)
    sys.exit(main())
