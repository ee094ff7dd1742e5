"""Memory that a step frees stays mapped for the next one."""

import os
import platform
import subprocess
import sys

import pytest

from tokenformer.freed_memory import CHOSEN_BY_USER

PROGRAM = """
import resource, sys
import torch
from tokenformer.freed_memory import keep_freed_memory

if sys.argv[1] == "keep":
    assert keep_freed_memory()

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    blocks = [torch.ones(2**21) for _ in range(24)]  # 8 MiB each, a step's activations
    del blocks
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

rounds = [faults() for _ in range(6)]
print(rounds[0], min(rounds[3:]))
"""

pytestmark = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the C library is not glibc")


def page_faults(how: str, **environment: str) -> tuple[int, int]:
    """Of the first round, and the fewest of later ones."""
    clean = {name: value for name, value in os.environ.items() if name not in CHOSEN_BY_USER}
    command = [sys.executable, "-c", PROGRAM, how]
    printed = subprocess.run(command, env=clean | environment, check=True, capture_output=True, text=True).stdout
    first, later = printed.split()
    return int(first), int(later)


def test_the_next_step_has_no_page_faults():
    first, later = page_faults("keep")
    assert later < first / 50


def test_settings_of_the_user_stay():
    command = [sys.executable, "-c", "from tokenformer.freed_memory import keep_freed_memory as k; print(k())"]
    environment = os.environ | {"MALLOC_TRIM_THRESHOLD_": "131072"}
    assert subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout == "False\n"
