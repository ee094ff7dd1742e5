"""In CI the tests of Triton's kernels must not skip."""

import os

if os.environ.get("CI"):
    import triton  # noqa: F401
