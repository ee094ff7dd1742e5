"""Fixtures of the tests of the kernels."""

import os

import pytest
import torch

if os.environ.get("CI"):
    import triton  # noqa: F401  (the tests of its kernels skip without it, and in CI nothing may)


@pytest.fixture(scope="session")
def device() -> str:
    """Where Triton's kernels run: a GPU, or in its interpreter the CPU."""
    return "cuda" if torch.cuda.is_available() else "cpu"
