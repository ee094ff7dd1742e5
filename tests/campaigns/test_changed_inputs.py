"""Configs and command lines with something changed at random: they run, or are refused in words."""

import contextlib
import io

import pytest
import yaml

from tests.support.campaign import Campaign
from tokenformer.cli import parse
from tokenformer.config.loading import load_config
from tokenformer.errors import UserError
from tokenformer.run_config import load_run_config

pytestmark = pytest.mark.slow

VALUES = (
    *(0, -1, 1, 2**31, 2**63, 10**30, 0.0, -0.5, 1e-300, 1e300, float("nan"), float("inf"), True, None, "", " ", "x"),
    *("..", "/", "1e400", "\x00", "å\u0308", "%date", [], {}, [[]], [1, "a"], {"name": "x"}, {"name": [1]}, "a" * 5000),
)
WORDS = (
    *("", "-", "--", "--set", "--set=", "--help=1", "--no-verify", "--from-step", "x", "-1", "1e400", "nan", "..", "/"),
    *("\x1b[2J", "\udcff", "a=b=c", "--output", "*", "--tasks", "a" * 5000, "0", "å"),
)
COMMANDS = (
    ["plan", "a.yaml", "--set", "tokens.train_steps=10"],
    ["train", "a.yaml", "--from-step", "3"],
    ["prepare", "a.txt", "--output", "out", "--vocabulary-size", "300", "--unit", "line"],
    ["export", "run", "out", "--tokenizer", "folder"],
    ["eval", "run", "--tasks", "blimp", "--batch-size", "auto"],
    ["grow", "a", "b", "--operator", "append_tokens", "--set", "factor=2"],
    ["compare", "grid.yaml", "--jobs", "2"],
    ["score", "a text", "--language", "en"],
    ["corpus", "formal", "out", "--language", "dyck", "--set", "kinds=4"],
    ["report", "run"],
    ["import", "a", "b", "--heads", "2"],
)


def places(content, path=()):
    """Every place in nested sections and lists."""
    items = content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ()
    for key, value in items:
        yield content, key
        yield from places(value, (*path, key))


def changed(content: dict, chance) -> dict:
    """One to three changes: another value, a key that goes, or a key that nobody knows."""
    content = yaml.safe_load(yaml.safe_dump(content))
    for _ in range(chance.randint(1, 3)):
        found = list(places(content))
        if not found:
            break
        holder, key = chance.choice(found)
        kind = chance.random()
        if kind < 0.7 or isinstance(holder, list):
            holder[key] = chance.choice(VALUES)
        elif kind < 0.85:
            del holder[key]
        else:
            holder[f"{key}_"] = holder.pop(key)
    return content


def test_changed_configs(tiny_config, tmp_path):
    """What passes is planned too, for the tiny corpus."""
    from tokenformer.trainer.run.prepared_run import PreparedRun

    campaign = Campaign("changed configs")
    content, path = yaml.safe_load(tiny_config.read_text()), tmp_path / "changed.yaml"
    for _ in campaign.cases(400):
        made = changed(content, campaign.random)
        text = yaml.safe_dump(made, sort_keys=False)
        path.write_text(text, encoding="utf-8")
        with campaign.case(text, seconds=120):
            PreparedRun(load_run_config(path), str(path))
    campaign.end()


def test_changed_bytes_of_a_config(tiny_config, tmp_path):
    campaign = Campaign("changed bytes of a config")
    content, path = tiny_config.read_bytes(), tmp_path / "changed.yaml"
    for _ in campaign.cases(400):
        made = bytearray(content)
        for _ in range(campaign.random.randint(1, 5)):
            place = campaign.random.randrange(len(made))
            if campaign.random.random() < 0.5:
                made[place] = campaign.random.randrange(256)
            else:
                del made[place : place + campaign.random.randint(1, 30)]
        path.write_bytes(made)
        with campaign.case(repr(bytes(made))):
            load_config(path)
    campaign.end()


def test_changed_command_lines(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    campaign = Campaign("changed command lines")
    for _ in campaign.cases(400):
        words = list(campaign.random.choice(COMMANDS))
        for _ in range(campaign.random.randint(1, 3)):
            place = campaign.random.randrange(len(words) + 1)
            words[place : place + campaign.random.randint(0, 1)] = [campaign.random.choice(WORDS)]
        said = io.StringIO()
        with campaign.case(repr(words)), contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            try:
                parse(words)
            except SystemExit as end:
                if end.code not in (0, None):
                    raise UserError(said.getvalue()) from None
    campaign.end()
