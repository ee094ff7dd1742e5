"""What lies in folders that tests write."""

import json
import shutil
from pathlib import Path


def all_bytes(folder: Path) -> dict[str, bytes]:
    """By the path inside the folder."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def forget_checksums(folder: Path) -> Path:
    """Removes every list of checksums below a folder, as in one of an older version; gives the folder."""
    for path in folder.rglob("checksums.json"):
        path.unlink()
    return folder


def as_older(folder: Path) -> Path:
    """Takes from checkpoints below a folder what an older version did not write: checksums and the tokenizer."""
    for path in forget_checksums(folder).rglob("tokenizer"):
        if (path.parent / "model_config.json").exists():
            shutil.rmtree(path)
    return folder


def json_rows(path: Path) -> list[dict]:
    """Of a file of JSON lines."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
