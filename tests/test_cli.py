"""The command line: what it says, to whom, and with which status."""

import subprocess
import sys

import pytest

from tokenformer import __version__, cli
from tokenformer.trainer import bootstrap

VERBS = ("corpus", "prepare", "plan", "train", "report", "grow", "import", "export", "doctor")


def test_help_names_every_verb(capsys):
    with pytest.raises(SystemExit) as end:
        cli.main(["--help"])
    assert end.value.code == 0
    shown = capsys.readouterr().out
    assert [verb for verb in VERBS if f"\n    {verb} " not in shown] == []


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_explains_itself(verb, capsys):
    with pytest.raises(SystemExit) as end:
        cli.main([verb, "--help"])
    assert end.value.code == 0
    assert capsys.readouterr().out.startswith(f"usage: tokenformer {verb}")


def test_it_runs_as_a_module():
    command = [sys.executable, "-m", "tokenformer", "--version"]
    assert subprocess.run(command, capture_output=True, text=True).stdout == f"tokenformer {__version__}\n"


@pytest.mark.parametrize(
    "arguments",
    [[], ["fly"], ["plan"], ["corpus", "koran", "out"], ["prepare", "texts"], ["plan", "a.yaml", "--sat", "x=1"]],
)
def test_a_call_that_does_not_parse_shows_the_usage(arguments, capsys):
    with pytest.raises(SystemExit) as end:
        cli.main(arguments)
    assert end.value.code == 2
    assert capsys.readouterr().err.startswith("usage: tokenformer")


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
}


@pytest.mark.parametrize(("arguments", "named"), MISTAKES.values(), ids=MISTAKES.keys())
def test_a_mistake_is_one_line_and_status_2(arguments, named, repository, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    text = (repository / "configs" / "tokenformer.yaml").read_text(encoding="utf-8")
    (tmp_path / "config.yaml").write_text(text.replace("data/bible-prepared", "nowhere"), encoding="utf-8")
    (tmp_path / "broken.yaml").write_text("general: {run: [1\ntokens: }\n", encoding="utf-8")
    (tmp_path / "empty.txt").write_text("\n \n", encoding="utf-8")
    files = {"CONFIG": "config.yaml", "BROKEN": "broken.yaml", "EMPTY": "empty.txt"}
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
