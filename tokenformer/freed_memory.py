"""Keeps freed memory in the process, where the C library would give it back to the system after every step.

Activations of one step are freed in its backward pass. glibc returns them, and the next step has each page zeroed and
mapped anew at first touch: 10 % of the time of a training step on the CPU we measured (hidden size 256, bf16), and a
quarter of the time of scoring a corpus, whose arrays come and go with every chunk of text.
"""

import ctypes
import os

# Names and limits of glibc's malloc.h; the largest threshold for mmap is half a heap.
TRIM_THRESHOLD, TOP_PAD, MMAP_THRESHOLD = -1, -2, -3
SETTINGS = {TRIM_THRESHOLD: 2**31 - 1, TOP_PAD: 64 * 2**20, MMAP_THRESHOLD: 32 * 2**20}
CHOSEN_BY_USER = ("MALLOC_TRIM_THRESHOLD_", "MALLOC_TOP_PAD_", "MALLOC_MMAP_THRESHOLD_")


def keep_freed_memory() -> bool:
    """Sets glibc's thresholds; False where they are the user's, or the C library is another."""
    if any(name in os.environ for name in CHOSEN_BY_USER):
        return False
    try:
        set_option = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError, TypeError):
        return False
    return all(set_option(name, value) == 1 for name, value in SETTINGS.items())
