"""Every command of the README is one that exists, and every link leads somewhere."""

import re
import shlex

import pytest

from tests.support.places import REPOSITORY
from tokenformer import cli

README = (REPOSITORY / "README.md").read_text(encoding="utf-8")
MAKEFILE = (REPOSITORY / "Makefile").read_text(encoding="utf-8")
OURS = re.compile(r"(\w+=\S+ )*(\S+/)?(tokenformer|make|torchrun|python\S* -m tokenformer)( |$)")
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```", README, flags=re.DOTALL | re.MULTILINE)
PROSE = re.sub(r"^```.*?^```", "", README, flags=re.DOTALL | re.MULTILINE)
LINKS = {*re.findall(r"\]\(([^)\s]+)[^)]*\)", PROSE), *re.findall(r'(?:src|href)="([^"]+)"', PROSE)}


def commands() -> list[str]:
    """What calls us or make: the lines of code blocks, lines that go on joined, and code inside of sentences."""
    blocks = [block for language, block in BLOCKS if language != "python"]
    lines = [line.strip().removeprefix("$ ") for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    inside = [" ".join(code.split()) for code in re.findall(r"`([^`]+)`", PROSE)]
    return [line for line in lines + inside if OURS.match(line)]


def words_of(command: str) -> list[str]:
    """Up to the first redirection, pipe or comment."""
    words = shlex.split(command, comments=True)
    end = next((index for index, word in enumerate(words) if word in ("|", ">", ">>", "&&", ";", "2>")), len(words))
    return words[:end]


def arguments_of_ours(words: list[str]) -> list[str] | None:
    """What follows `tokenformer`, `python -m tokenformer` or `torchrun ... -m tokenformer`; None for other commands."""
    while "=" in words[0]:
        words = words[1:]
    if words[0].rpartition("/")[2] == "tokenformer":
        return words[1:]
    for index, pair in enumerate(zip(words, words[1:], strict=False)):
        if pair == ("-m", "tokenformer"):
            return words[index + 2 :]
    return None


@pytest.mark.parametrize("needed", ["make demo", "make test"])
def test_the_readme_starts_with_the_commands_of_the_demo(needed):
    assert needed in [" ".join(words_of(command)) for command in commands()]


@pytest.mark.parametrize("command", commands())
def test_a_command_is_known(command):
    words = words_of(command)
    if words[0] == "make":
        asked = [word for word in words[1:] if "=" not in word]
        variables = [word.partition("=")[0] for word in words[1:] if "=" in word]
        assert set(asked) <= set(re.findall(r"^([a-z-]+):", MAKEFILE, flags=re.MULTILINE))
        assert set(variables) <= set(re.findall(r"^([A-Z_]+) [?:]?=", MAKEFILE, flags=re.MULTILINE))
        return
    arguments = arguments_of_ours(words)
    assert arguments is not None, "a command with torchrun starts our module"
    try:
        parsed = cli.parse(arguments)
    except SystemExit as end:
        assert end.code == 0 and {"--help", "--version"} & set(arguments)
        return
    if getattr(parsed, "config", None) is not None and parsed.config.parts[0] == "configs":
        assert (REPOSITORY / parsed.config).is_file()


@pytest.mark.parametrize("code", [block for language, block in BLOCKS if language == "python"])
def test_python_of_the_readme_runs(code):
    exec(code, {})


@pytest.mark.parametrize("target", sorted(LINKS))
def test_a_link_leads_somewhere(target):
    if re.match(r"[a-z]+:", target):
        return
    path, _, anchor = target.partition("#")
    page = REPOSITORY / path if path else REPOSITORY / "README.md"
    assert page.exists()
    if anchor:
        headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
        assert anchor in [re.sub(r"[^\w -]", "", heading).strip().lower().replace(" ", "-") for heading in headings]


def test_what_ci_calls_is_in_the_makefile():
    text = (REPOSITORY / ".ci" / "run").read_text(encoding="utf-8")
    called = [word for line in re.findall(r"^make (.*)$", text, flags=re.MULTILINE) for word in line.split()]
    assert "test" in called
    assert set(called) <= set(re.findall(r"^([a-z-]+):", MAKEFILE, flags=re.MULTILINE))
