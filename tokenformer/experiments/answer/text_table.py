"""A table of text, once as HTML and once as Markdown."""

from dataclasses import dataclass
from html import escape


@dataclass(frozen=True)
class TextTable:
    """Cells as text under a heading each; the first column names the rows."""

    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def html(self) -> str:
        head = "".join(f"<th>{escape(heading)}</th>" for heading in self.headings)
        rows = "".join(
            f'<tr><th scope="row">{escape(row[0])}</th>' + "".join(map(_cell, row[1:])) + "</tr>\n" for row in self.rows
        )
        return f'<div class="wide"><table><thead><tr>{head}</tr></thead>\n<tbody>\n{rows}</tbody></table></div>'

    def markdown(self) -> str:
        lines = [self.headings, tuple("---" for _ in self.headings), *self.rows]
        return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def _cell(text: str) -> str:
    """Words stand at the left, numbers at the right."""
    kind = ' class="words"' if sum(map(str.isalpha, text)) > len(text) / 2 else ""
    return f"<td{kind}>{escape(text)}</td>"
