"""Corpora: reading them, splitting them into tokens on disk, and the dataset that the trainer reads."""

from collections.abc import Callable
from pathlib import Path

from tokenformer.errors import UserError


def _write_bible(output: Path) -> None:
    from tokenformer.data.bible import write_bible

    write_bible(output)


CORPORA: dict[str, Callable[[Path], None]] = {
    "bible": _write_bible,
}
"""Corpora that can be made on this machine without a download: name -> function that writes one into a folder."""


def write_corpus(name: str, output: Path) -> None:
    """Writes the corpus `name`, a key of CORPORA, into the folder `output`; raises UserError for another name."""
    if name not in CORPORA:
        raise UserError(f"there is no corpus {name!r}; choose one of {', '.join(CORPORA)}")
    CORPORA[name](output)
