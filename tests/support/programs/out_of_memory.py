"""`tokenformer` whose address space ends at what it has when it begins to grow; run by test_growth_failure.py."""

import resource
import sys
from pathlib import Path

import torch

from tokenformer.trainer import bootstrap

bootstrap()
from tokenformer.cli import main  # noqa: E402 (only after bootstrap)
from tokenformer.trainer.growing import live as live_growth  # noqa: E402

build = live_growth._build


def build_without_memory(*arguments):
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    used = pages * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + 2**20, resource.RLIM_INFINITY))
    torch.empty(2**30, dtype=torch.uint8)  # a model as small as this one may fit into memory that was freed
    build(*arguments)


if __name__ == "__main__":
    live_growth._build = build_without_memory
    sys.exit(main(sys.argv[1:]))
