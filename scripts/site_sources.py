"""Puts the source files that a page of docs/ links to on the site, each as a page of its own.

A page names a file of the repository as `../configs/tokenformer.yaml`, which works where the repository is read. The
site holds docs/ alone. So mkdocs calls these two functions: one adds a page for each such file, the other turns the
links.
"""

import posixpath
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[1]
LINK = re.compile(r"(\]\()((?:\.\./)+[^)#\s]+)(#[^)\s]*)?\)")
FENCE = "`" * 5


def _named_file(page: str, target: str) -> str:
    """The path inside the repository that a link of a page of docs/ leads to, or "" inside docs/."""
    path = posixpath.normpath(posixpath.join("docs", posixpath.dirname(page), target))
    return "" if path.startswith("docs/") else path


def _page_of(path: str) -> str:
    """The page of the site that shows a file or folder of the repository."""
    return f"source/{path}.md"


def _shown(path: str) -> str:
    """The content of a source's page: the text of a file, or the names in a folder."""
    place = ROOT / path
    if place.is_dir():
        return f"# {path}\n\n" + "".join(f"- `{child.name}`\n" for child in sorted(place.iterdir()))
    language = {".py": "python", ".yaml": "yaml", ".md": "markdown"}.get(place.suffix, "")
    return f"# {path}\n\n{FENCE}{language}\n{place.read_text(encoding='utf-8')}{FENCE}\n"


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds a page for every source that a page links to; one that does not exist is left to the check of links."""
    for file in list(files.documentation_pages()):
        for _, target, _ in LINK.findall(file.content_string):
            path = _named_file(file.src_uri, target)
            if path and (ROOT / path).exists() and files.get_file_from_path(_page_of(path)) is None:
                files.append(File.generated(config, _page_of(path), content=_shown(path)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Turns links to sources into links to their pages."""

    def turned(match: re.Match) -> str:
        path = _named_file(page.file.src_uri, match[2])
        if not path or files.get_file_from_path(_page_of(path)) is None:
            return match[0]
        return f"{match[1]}{posixpath.relpath(_page_of(path), posixpath.dirname(page.file.src_uri) or '.')})"

    return LINK.sub(turned, markdown)
