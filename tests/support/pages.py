"""The pages for readers, and the blocks of code that they show."""

import re
from dataclasses import dataclass
from pathlib import Path

from tests.support.places import REPOSITORY

BLOCK = re.compile(r"(?:<!-- not run: ([^>]+) -->\n)?^```(\w*)\n(.*?)^```", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """A block of code of a page.

    Args:
        page: path of the page inside the repository.
        language: bash, python, yaml or text.
        code: the lines inside.
        not_run: why no test runs it; "" where a test does.
    """

    page: str
    language: str
    code: str
    not_run: str

    @property
    def commands(self) -> list[str]:
        """The commands of a bash block, each with the lines on which it goes on."""
        return [line.strip() for line in self.code.replace("\\\n", " ").splitlines() if line.strip()]


def pages() -> list[Path]:
    """README, CONTRIBUTING and every page of docs/, in the order in which a reader meets them."""
    navigation = re.findall(r"([\w/-]+\.md)", (REPOSITORY / "mkdocs.yml").read_text(encoding="utf-8"))
    docs = [REPOSITORY / "docs" / name for name in navigation]
    rest = sorted(set((REPOSITORY / "docs").rglob("*.md")) - set(docs))
    return [REPOSITORY / "README.md", REPOSITORY / "CONTRIBUTING.md", *docs, *rest]


def blocks_of(page: Path) -> list[Block]:
    """The blocks of code of a page, in order."""
    name = page.relative_to(REPOSITORY).as_posix()
    found = BLOCK.findall(page.read_text(encoding="utf-8"))
    return [Block(name, language, code, reason) for reason, language, code in found]


def prose_of(page: Path) -> str:
    """The text of a page without its blocks of code."""
    return BLOCK.sub("", page.read_text(encoding="utf-8"))
