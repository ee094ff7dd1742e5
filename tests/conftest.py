"""Fixtures that every test may use."""

import os
from pathlib import Path

import pytest
import torch
from hypothesis import settings

from tests.support.places import REPOSITORY

# Without a GPU, Triton's kernels run in its interpreter. It must be asked before triton is imported, by whomever.
if not torch.cuda.is_available():
    os.environ.setdefault("TRITON_INTERPRET", "1")

# No test asserts time.
settings.register_profile("no_deadline", deadline=None)
settings.load_profile("no_deadline")


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of the checkout."""
    return REPOSITORY


@pytest.fixture(scope="session")
def device() -> str:
    """Where Triton's kernels run: a GPU, or in its interpreter the CPU."""
    return "cuda" if torch.cuda.is_available() else "cpu"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real corpora and benchmarks: `$TOKENFORMER_SHARED_DATA`, else `shared/data` beside the checkout."""
    folder = Path(os.environ.get("TOKENFORMER_SHARED_DATA", REPOSITORY.parent / "shared" / "data"))
    if not folder.is_dir():
        if os.environ.get("CI"):
            pytest.fail(f"CI must have the shared corpora, and {folder} is missing")
        pytest.skip(f"the shared corpora are not at {folder}; set TOKENFORMER_SHARED_DATA to their folder")
    return folder
