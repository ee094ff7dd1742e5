"""Exports of small models, and what every check of them gave in a process without this package."""

import functools
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from tests.support.places import REPOSITORY
from tests.support.random_checkpoints import (
    VOCABULARY,
    llama_config,
    tokenformer_config,
    trained_states,
    write_random_checkpoint,
)
from tokenformer.conversion.export import export_checkpoint
from tokenformer.data.tokenizer import train_tokenizer
from tokenformer.model.config import LayerTokens, TokenSegment

TRANSFORMERS_4 = REPOSITORY / ".venv" / "transformers-4"
SEGMENTS = [TokenSegment(10, 3.0), TokenSegment(6, 2.4)]
CONFIGS = {
    "tokenformer": lambda: tokenformer_config(
        num_attention_heads=6,
        num_key_value_heads=2,
        qkv_tokens=SEGMENTS,
        layer_tokens=[LayerTokens(1, feed_forward_tokens=30)],
        tau="learned",
    ),
    "documents": lambda: tokenformer_config(document_mask=True, eos_token_id=0, block_norm_affine=True),
    "llama": lambda: llama_config(num_key_value_heads=2, rope_theta=500000.0),
}


@pytest.fixture(scope="session")
def trained_tokenizer(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("trained") / "tokenizer"
    train_tokenizer(iter(["a cat sat on a mat", "a cat and a hat"] * 4), 270, folder)
    return folder


@pytest.fixture(scope="session")
def exports(tmp_path_factory, trained_tokenizer) -> Path:
    """A folder with an export of each of CONFIGS and what the trainer computes, and a Hub's cache with revisions."""
    made, folder = tmp_path_factory.mktemp("made"), tmp_path_factory.mktemp("moved") / "exports"
    for name, config in CONFIGS.items():
        checkpoint = write_random_checkpoint(made / "checkpoints" / name, config())
        export_checkpoint(checkpoint, made / "exports" / name, trained_tokenizer, is_verified=False)
        ids = torch.randint(VOCABULARY, (3, 20), generator=torch.Generator().manual_seed(1))
        ids[0, 7] = 0
        logits, states = trained_states(checkpoint, ids)
        tensors = {"ids": ids, "logits": logits} | {f"state-{index}": state for index, state in enumerate(states)}
        tensors = {key: tensor.contiguous() for key, tensor in tensors.items()}
        save_file(tensors, made / "exports" / f"{name}-expected.safetensors")
    shutil.copytree(trained_tokenizer, made / "exports" / "tokenizer")
    shutil.move(made / "exports", folder)
    lay_out_revisions(folder / "hub", {"chck_1M": "documents", "chck_2M": "tokenformer", "main": "tokenformer"}, folder)
    return folder


def lay_out_revisions(hub: Path, revisions: dict[str, str], exports: Path) -> None:
    """The Hub's cache of the model someone/grown: a commit for each revision."""
    repository = hub / "models--someone--grown"
    (repository / "refs").mkdir(parents=True)
    for number, (revision, name) in enumerate(revisions.items(), start=1):
        commit = f"{number:040x}"
        (repository / "refs" / revision).write_text(commit)
        shutil.copytree(exports / name, repository / "snapshots" / commit)


@pytest.fixture(scope="session")
def checked(exports, tmp_path_factory) -> Callable[[str], dict[str, str]]:
    """`checked(version)` is what each of `isolated_checks` gave with transformers "4" or "5", run once."""

    @functools.cache
    def run(version: str) -> dict[str, str]:
        if version == "4" and not TRANSFORMERS_4.is_dir():
            if os.environ.get("CI"):
                pytest.fail(f"CI must have transformers 4, which `make test` puts into {TRANSFORMERS_4}")
            pytest.skip(f"transformers 4 is not at {TRANSFORMERS_4}; `make test` puts it there")
        folder = tmp_path_factory.mktemp(f"transformers-{version}")
        environment = {key: value for key, value in os.environ.items() if not key.startswith(("HF_", "PYTHON"))}
        environment |= {"HF_MODULES_CACHE": str(folder / "modules"), "HF_HUB_CACHE": str(exports / "hub")}
        environment |= {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", "HF_HOME": str(folder / "home")}
        script = REPOSITORY / "tests" / "support" / "isolated_checks.py"
        arguments = [exports, folder / "results.json", *([TRANSFORMERS_4] if version == "4" else [])]
        subprocess.run([sys.executable, "-I", script, *arguments], check=True, env=environment, cwd=folder)
        return json.loads((folder / "results.json").read_text())

    return run
