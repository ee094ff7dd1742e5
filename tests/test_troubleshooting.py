"""docs/troubleshooting.md quotes messages that the package really gives."""

import ast
import re

import pytest

from tests.support.places import REPOSITORY

PAGE = (REPOSITORY / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
MESSAGES = [
    message
    for table in re.findall(r"^\| message .*\n\|[-|]+\n((?:\|.*\n?)+)", PAGE, re.MULTILINE)
    for message in re.findall(r"^\| `([^`]+)` \|", table, re.MULTILINE)
]


def texts() -> list[str]:
    """Every string of the package, with … for each part that is filled in."""
    found = []
    for path in (REPOSITORY / "tokenformer").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr):
                parts = [part.value if isinstance(part, ast.Constant) else "…" for part in node.values]
                found.append("".join(map(str, parts)))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.append(node.value)
    return found


TEXTS = texts()


def test_the_page_has_messages():
    assert len(MESSAGES) > 25


@pytest.mark.parametrize("message", MESSAGES)
def test_a_message_is_one_of_the_package(message):
    pattern = re.compile(".*".join(map(re.escape, message.split("…"))), re.DOTALL)
    assert any(pattern.search(text) for text in TEXTS)
