"""What lies in folders that tests write."""

import json
from pathlib import Path


def all_bytes(folder: Path) -> dict[str, bytes]:
    """By the path inside the folder."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def json_rows(path: Path) -> list[dict]:
    """Of a file of JSON lines."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
