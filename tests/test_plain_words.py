"""Sentences that readers meet first begin with a subject: docstrings, help texts, headings and pages."""

import ast
import re
from pathlib import Path

import pytest

from tests.support.pages import pages, prose_of
from tests.support.places import REPOSITORY

SOURCES = [path for folder in ("tokenformer", "kernels") for path in sorted((REPOSITORY / folder).rglob("*.py"))]
NO_SUBJECT = re.compile(r"(Of|That|What|Those|Whether)\b")
# A sentence begins after a full stop, a heading's sign, a list's sign or at the start of a paragraph or a cell.
SENTENCE = re.compile(r"(?:^(?:#+ |[-*] |\d+\. )?|[.!?]\s+|\| )(\w+)", re.MULTILINE)


def first_lines(path: Path) -> list[str]:
    """The first line of every docstring of a module: those of attributes, which are help texts, too."""
    nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    values = [node.value.value for node in nodes if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)]
    return [value.strip().splitlines()[0] for value in values if isinstance(value, str) and value.strip()]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(REPOSITORY).as_posix())
def test_the_first_line_of_a_docstring_has_a_subject_or_a_verb(path):
    assert [line for line in first_lines(path) if NO_SUBJECT.match(line)] == []


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.relative_to(REPOSITORY).as_posix())
def test_a_sentence_of_a_page_has_a_subject(page):
    words = [match[1] for match in SENTENCE.finditer(prose_of(page))]
    assert [word for word in words if NO_SUBJECT.fullmatch(word)] == []
