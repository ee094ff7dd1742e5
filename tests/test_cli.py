"""The command line: what it says, to whom, and with which status."""

import errno
import json
import os
import signal
import subprocess
import sys

import pytest

from tests.support.cases import cases
from tokenformer import __version__, cli
from tokenformer.cli.verbs import VERBS
from tokenformer.trainer import bootstrap

COMMAND = [sys.executable, "-m", "tokenformer"]


def test_help_names_every_verb(capsys):
    with pytest.raises(SystemExit) as end:
        cli.main(["--help"])
    assert end.value.code == 0
    shown = capsys.readouterr().out
    assert [verb for verb in VERBS if f"• {verb} " not in shown] == []


@pytest.mark.parametrize("verb", [*VERBS, "corpus bible", "corpus formal", "corpus code"])
def test_every_verb_explains_itself_and_shows_an_example(verb, capsys):
    with pytest.raises(SystemExit) as end:
        cli.main([*verb.split(), "--help"])
    assert end.value.code == 0
    shown = capsys.readouterr().out
    assert shown.startswith(f"usage: tokenformer {verb}")
    assert f"Example: tokenformer {verb}" in shown


def test_it_runs_as_a_module():
    command = [*COMMAND, "--version"]
    assert subprocess.run(command, capture_output=True, text=True).stdout == f"tokenformer {__version__}\n"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_gets_a_script_that_completes(shell, capsys):
    with pytest.raises(SystemExit) as end:
        cli.main(["--tyro-print-completion", shell])
    assert not end.value.code
    assert "vocabulary-size" in capsys.readouterr().out


@cases(
    ([], "subcommand"),
    (["fly"], "fly"),
    (["plan"], "CONFIG"),
    (["corpus", "koran", "out"], "koran"),
    (["prepare", "texts"], "--output"),
    (["plan", "a.yaml", "--sat", "x=1"], "--sat"),
    (["prepare", "texts", "--output", "out", "--seed", "one"], "--seed"),
    (["prepare", "texts", "--output", "out", "--unit", "book"], "--unit"),
    (["eval", "model", "--tasks", "blimp", "--outpt", "out"], "--outpt"),
)
def test_a_call_that_does_not_parse_says_what_is_wrong(capsys, arguments, named):
    with pytest.raises(SystemExit) as end:
        cli.main(arguments)
    assert end.value.code == 2
    shown = capsys.readouterr()
    assert shown.out == "" and named in shown.err and "--help" in shown.err


@cases(
    (["--tasks", "zeroshot_swe", "-multiblimp_swe"], ["zeroshot_swe", "-multiblimp_swe"]),
    (["--tasks", "-multiblimp_swe", "zeroshot_swe", "--fast"], ["-multiblimp_swe", "zeroshot_swe"]),
    (["--tasks", "blimp,-a", "--fast", "--tasks", "own.yaml", "-b_c"], ["blimp", "-a", "own.yaml", "-b_c"]),
)
def test_tasks_may_be_left_out_and_added(words, tasks):
    asked = cli.parse(["eval", "model", *words])
    assert [name for names in asked.tasks for name in names] == tasks
    assert asked.fast == ("--fast" in words)


MISTAKES = {
    "no such config": (["plan", "missing.yaml"], "missing.yaml"),
    "no such config to train": (["train", "missing.yaml"], "missing.yaml"),
    "a misspelled key": (["plan", "CONFIG", "--set", "tokens.trian_steps=3"], "did you mean train_steps?"),
    "no corpus": (["plan", "CONFIG"], "nowhere"),
    "no corpus to train on": (["train", "CONFIG"], "nowhere"),
    "no yaml": (["plan", "BROKEN"], "is not valid YAML"),
    "no run": (["report", "nowhere"], "nowhere"),
    "no such formal language": (["corpus", "formal", "out", "--language", "latin"], "choose one of dyck"),
    "no such source tree": (["corpus", "code", "out", "--source", "nowhere"], "nowhere"),
    "no input": (["prepare", "nowhere", "--output", "out"], "nowhere"),
    "no text": (["prepare", "EMPTY", "--output", "out"], "no document"),
    "no such measure": (["prepare", "EMPTY", "--output", "out", "--measure", "length"], "surprisal"),
    "no checkpoint to export": (["export", "nowhere", "out", "--no-verify"], "is no checkpoint"),
    "no run for a ladder": (["export", "--ladder", "nowhere", "out", "--no-verify"], "is not the folder of a run"),
    "words without a ladder": (["export", "nowhere", "out", "--words", "1000"], "give --ladder too"),
    "no such tokenizer": (["prepare", "EMPTY", "--output", "out", "--tokenizer", "nowhere"], "nowhere"),
    "no processes": (["prepare", "EMPTY", "--output", "out", "--processes", "0"], "processes is 0: give 1 or more"),
    "no processes to score": (["score", "EMPTY", "--processes", "0"], "processes is 0: give 1 or more"),
    "no weight": (["prepare", "EMPTY=heavy", "--output", "out"], "heavy"),
    "nothing to prepare": (["prepare", "--output", "out"], "nothing to prepare"),
    "no text to score": (["score"], "there is no text"),
    "no tasks": (["eval", "nowhere"], "there is no task"),
    "no batch": (["eval", "nowhere", "--tasks", "blimp", "--batch-size", "0"], "batch size"),
    "no checkpoint to grow": (["grow", "nowhere", "out", "--operator", "hypercloning"], "nowhere is no checkpoint"),
    "nothing to import": (["import", "nowhere", "out"], "nowhere is no model"),
    "an output that exists": (["export", "EMPTY", "CONFIG"], "choose another output"),
    "a folder as a config": (["plan", "."], "cannot be read"),
    "an output below a file": (["corpus", "bible", "EMPTY/out"], "empty.txt"),
    "a name that is too long": (["corpus", "code", "x" * 300], "File name too long"),
}


@pytest.mark.parametrize(("arguments", "named"), MISTAKES.values(), ids=MISTAKES.keys())
def test_a_mistake_is_one_line_and_status_2(arguments, named, repository, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    text = (repository / "configs" / "tokenformer.yaml").read_text(encoding="utf-8")
    (tmp_path / "config.yaml").write_text(text.replace("data/bible-prepared", "nowhere"), encoding="utf-8")
    (tmp_path / "broken.yaml").write_text("general: {run: [1\ntokens: }\n", encoding="utf-8")
    (tmp_path / "empty.txt").write_text("\n \n", encoding="utf-8")
    files = {"CONFIG": "config.yaml", "BROKEN": "broken.yaml", "EMPTY": "empty.txt", "EMPTY/out": "empty.txt/out"}
    before = sorted(tmp_path.iterdir())
    assert cli.main([files.get(argument, argument) for argument in arguments]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith("tokenformer: ") and named in shown.err
    assert shown.err.count("\n") == 1
    assert sorted(tmp_path.iterdir()) == before


def test_one_process_of_several_speaks(monkeypatch, capsys):
    for rank, lines in (("0", 1), ("1", 0)):
        monkeypatch.setenv("RANK", rank)
        assert cli.main(["plan", "missing.yaml"]) == 2
        assert capsys.readouterr().err.count("\n") == lines


BEFORE_TORCH = [
    "no such config",
    "a misspelled key",
    "no corpus",
    "no yaml",
    "no run",
    "no such source tree",
    "no input",
]
BEFORE_TORCH += ["no checkpoint to export", "no checkpoint to grow", "nothing to import", "no processes"]


def test_a_mistake_is_told_before_torch_is_imported(repository, tmp_path):
    text = (repository / "configs" / "tokenformer.yaml").read_text(encoding="utf-8")
    (tmp_path / "CONFIG").write_text(text.replace("data/bible-prepared", "nowhere"), encoding="utf-8")
    (tmp_path / "BROKEN").write_text("general: {run: [1\ntokens: }\n", encoding="utf-8")
    (tmp_path / "EMPTY").write_text("\n \n", encoding="utf-8")
    script = """
import json, sys
from tokenformer.cli import main
for words in json.loads(sys.argv[1]):
    assert main(words) == 2
    assert "torch" not in sys.modules, words
"""
    commands = json.dumps([MISTAKES[name][0] for name in BEFORE_TORCH])
    subprocess.run([sys.executable, "-c", script, commands], cwd=tmp_path, check=True)


def test_what_the_system_refuses_is_one_line_with_the_path(monkeypatch, capsys):
    def full():
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "runs/a/checkpoints")

    monkeypatch.setattr("tokenformer.doctor.findings", full)
    assert cli.main(["doctor"]) == 2
    assert capsys.readouterr().err == "tokenformer: runs/a/checkpoints: No space left on device\n"


SLEEPS = {"python": "time.sleep(60)", "a computation that does not come back": "ctypes.CDLL(None).sleep(60)"}


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize("where", SLEEPS)
def test_a_signal_ends_a_verb_with_one_line(number, status, where, tmp_path):
    """What does not come back: the C library's sleep, begun anew whenever a signal ends it."""
    script = f"""
import ctypes, sys, time
import tokenformer.doctor
from tokenformer.cli import main
def wait():
    print("waits", flush=True)
    while True:
        {SLEEPS[where]}
    yield
tokenformer.doctor.findings = wait
sys.exit(main(["doctor"]))
"""
    process = subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "waits\n"
    process.send_signal(number)
    _, shown = process.communicate(timeout=60)
    assert process.returncode == status
    assert shown.startswith("tokenformer: ended by ") and shown.count("\n") == 1


def test_a_reader_that_goes_away_is_no_mistake(tmp_path):
    (tmp_path / "many.txt").write_text("A short line of text.\n\n" * 20)
    process = subprocess.Popen(
        [*COMMAND, "score", "many.txt"], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    process.stdout.close()
    assert (process.wait(timeout=120), process.stderr.read()) == (0, "")


def test_a_mistake_of_ours_is_not_hidden(monkeypatch):
    def broken():
        raise ZeroDivisionError

    monkeypatch.setattr("tokenformer.doctor.findings", broken)
    with pytest.raises(ZeroDivisionError):
        cli.main(["doctor"])


def test_the_doctor_says_what_is_here_and_what_was_repaired(capsys):
    assert cli.main(["doctor"]) == 0
    lines = capsys.readouterr().out.splitlines()
    found = {}
    for line in lines:
        found.setdefault(line[:22].rstrip(), []).append(line[22:].strip())
    report = bootstrap()
    assert found["tokenformer"] == [__version__]
    assert found["device"][0].startswith(f"{report.device} (")
    assert found["backend"] == [report.backend]
    assert "auto is" in found["kernels"][0] and "triton, torch, reference" in found["kernels"][0]
    assert found["kernel triton"][0].startswith(("runs", "cannot run: "))
    assert found["attention in Llama"] == [report.attention]
    assert found["attention in ours"] == ["scaled_dot_product_attention"]
    assert found["repaired"] == list(report.repairs)
    assert {"python", "torch", "nanotron", "numpy", "triton", "flash-attn"} <= found.keys()
