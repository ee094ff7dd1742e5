"""Text that we make: the demo's bible, formal languages, code, minimal pairs."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from tokenformer.config.registry import Registry


def _write_bible(output: Path) -> None:
    from tokenformer.corpora.bible import write_bible

    write_bible(output)


def _write_formal(output: Path, **options: Any) -> None:
    from tokenformer.corpora.formal.corpus import write_formal_corpus
    from tokenformer.corpora.options import FormalCorpusOptions

    write_formal_corpus(output, FormalCorpusOptions(**options))


def _write_code(output: Path, **options: Any) -> None:
    from tokenformer.corpora.code.corpus import write_code_corpus
    from tokenformer.corpora.options import CodeCorpusOptions

    write_code_corpus(output, CodeCorpusOptions(**options))


CORPORA: Registry[Callable[..., None]] = Registry(
    "corpus", {"bible": _write_bible, "formal": _write_formal, "code": _write_code}
)
"""Corpora that can be made on this machine without a download: name -> function that writes one into a folder.

What a function takes besides the folder are the fields of `FormalCorpusOptions` and `CodeCorpusOptions`.
"""


def write_corpus(name: str, output: Path, **options: Any) -> None:
    """Writes the corpus `name`, a key of CORPORA, into the folder `output`; raises UserError for another name."""
    CORPORA.find(name)(output, **options)


def written_sentence(output: Path) -> str:
    """How many documents and minimal pairs a corpus has that was written to `output`."""
    documents = (f"{_lines(output / split):,} for {split}" for split in ("train", "validation"))
    pairs = output / "pairs.jsonl"
    counted = f", {_lines(pairs):,} minimal pairs" if pairs.exists() else ""
    return f"documents: {', '.join(documents)}{counted}; written to {output}"


def _lines(place: Path) -> int:
    """Lines of a file, or of all files of a folder."""
    total = 0
    for path in [place] if place.is_file() else place.glob("*"):
        with path.open("rb") as stream:
            total += sum(1 for _ in stream)
    return total
