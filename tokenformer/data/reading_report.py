"""Counts of what was read from a corpus, what was repaired in it and what was left out."""

from collections import Counter
from dataclasses import dataclass, field

REPAIRED = {
    "byte_order_mark": "byte-order marks removed",
    "line_ending": "CRLF or CR line endings made LF",
    "nul": "NUL characters removed",
    "invalid_utf8": "invalid UTF-8 bytes replaced by U+FFFD",
    "lone_surrogate": "lone surrogates replaced by U+FFFD",
}
"""Reasons for which a text was changed, in words; each is counted once an occurrence."""

DROPPED = {
    "blank_document": "documents of nothing but whitespace skipped",
    "empty_file": "empty files skipped",
    "malformed_json": "malformed JSON lines dropped",
    "missing_text": "rows without a string in the text field dropped",
    "unknown_suffix": "files of another type not read",
    "special_file": "broken links and special files not read",
}
"""Reasons for which a document, row or file was left out, in words."""

_EXAMPLES_KEPT = 3


@dataclass(slots=True)
class SourceCounts:
    """How much text a source holds, after repairs."""

    files: int = 0
    documents: int = 0
    words: int = 0
    """Words are what whitespace separates."""
    characters: int = 0
    bytes: int = 0
    """Length in UTF-8."""

    def add_text(self, text: str) -> None:
        """Count one more document."""
        self.documents += 1
        self.words += len(text.split())
        self.characters += len(text)
        self.bytes += len(text.encode("utf-8"))

    def as_dict(self) -> dict[str, int]:
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass
class ReadingReport:
    """Filled by `tokenformer.data.reading.read_documents` while it runs; complete when its iterator is exhausted."""

    sources: dict[str, SourceCounts] = field(default_factory=dict)
    reasons: dict[str, Counter[str]] = field(default_factory=dict)
    """Reason (a key of REPAIRED or DROPPED) -> source, or file suffix for files that are no source -> count."""
    examples: dict[str, list[str]] = field(default_factory=dict)
    """Reason -> where it was first met, as `file` or `file:line`; three at most."""

    def source(self, name: str) -> SourceCounts:
        """The counts of the source `name`, made when first asked for."""
        return self.sources.setdefault(name, SourceCounts())

    def count(self, reason: str, source: str, amount: int = 1, example: str | None = None) -> None:
        """Note `amount` more repairs or drops of one reason."""
        if reason not in REPAIRED and reason not in DROPPED:
            raise KeyError(reason)
        self.reasons.setdefault(reason, Counter())[source] += amount
        kept = self.examples.setdefault(reason, [])
        if example is not None and len(kept) < _EXAMPLES_KEPT:
            kept.append(example)

    def total(self) -> SourceCounts:
        """Sums over all sources."""
        total = SourceCounts()
        for counts in self.sources.values():
            for name, value in counts.as_dict().items():
                setattr(total, name, getattr(total, name) + value)
        return total

    def as_dict(self) -> dict:
        """`total`, `sources`, and the reasons that occurred under `repaired` and `dropped`, ready for JSON."""
        return {
            "total": self.total().as_dict(),
            "sources": {name: counts.as_dict() for name, counts in self.sources.items()},
            "repaired": self._reasons_as_dict(REPAIRED),
            "dropped": self._reasons_as_dict(DROPPED),
        }

    def lines(self) -> list[str]:
        """The report for a human reader: a line for each source, the total, and each reason."""
        width = max((len(name) for name in [*self.sources, "total"]), default=0)
        lines = [
            f"{name:<{width}}  {counts.files:,} files, {counts.documents:,} documents, {counts.words:,} words, "
            f"{counts.characters:,} characters, {counts.bytes:,} bytes"
            for name, counts in [*self.sources.items(), ("total", self.total())]
        ]
        for kind, described in (("repaired", REPAIRED), ("dropped", DROPPED)):
            for reason, entry in self._reasons_as_dict(described).items():
                where = f" (first: {', '.join(entry['examples'])})" if entry["examples"] else ""
                lines.append(f"{kind}: {entry['count']:,} {described[reason]}{where}")
        return lines

    def _reasons_as_dict(self, described: dict[str, str]) -> dict:
        return {
            reason: {
                "count": self.reasons[reason].total(),
                "sources": dict(self.reasons[reason]),
                "examples": self.examples[reason],
            }
            for reason in described
            if reason in self.reasons
        }
