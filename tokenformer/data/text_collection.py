"""Texts that can be read again and again: quoted ones, files and folders, or a prepared corpus."""

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tokenformer.data.corpus import MANIFEST_FILE, SPLITS, PreparedCorpus
from tokenformer.data.reading import Document, InputSource, Unit, read_documents
from tokenformer.data.reading_report import ReadingReport
from tokenformer.data.source_files import SUFFIXES, list_source_files
from tokenformer.data.tokenizer import load_tokenizer
from tokenformer.errors import UserError

QUOTED = "the command line"
"""Source of texts that are given as they are."""


@dataclass(frozen=True)
class TextCollection:
    """Documents in a fixed order.

    Attributes:
        title: what people call it.
        read: starts reading from the beginning.
        is_quoted: whether the texts were given as they are.
        corpus: the prepared corpus that they are from, if they are.
        size: of all texts in bytes, about; None where that is not known before they are read.
    """

    title: str
    read: Callable[[], Iterator[Document]]
    is_quoted: bool = False
    corpus: PreparedCorpus | None = None
    size: int | None = None

    def __iter__(self) -> Iterator[str]:
        return (document.text for document in self.read())


def open_collection(words: Sequence[str], unit: Unit = "paragraph", text_field: str = "text") -> TextCollection:
    """Opens the words of a command line: texts, or files and folders of text, or one prepared corpus.

    Raises UserError for nothing, for texts and paths together, and for a path at which there is nothing.
    """
    words = [word for word in words if word.strip()]
    if not words:
        raise UserError("there is no text: give a quoted sentence, files, folders, or a prepared corpus")
    are_paths = [Path(word).expanduser().exists() for word in words]
    if not any(are_paths):
        for word in words:
            _refuse_missing_path(word)
        return TextCollection("quoted text", lambda: (Document(word, QUOTED) for word in words), is_quoted=True)
    if not all(are_paths):
        raise UserError(f"there is no file or folder {words[are_paths.index(False)]}; give texts or paths, not both")
    paths = [Path(word).expanduser() for word in words]
    if any((path / MANIFEST_FILE).is_file() for path in paths):
        if len(paths) > 1:
            raise UserError(f"{paths[0]} and others: one prepared corpus is looked at at a time")
        return of_prepared_corpus(PreparedCorpus.open(paths[0]))
    inputs = [InputSource(path) for path in paths]
    return TextCollection(", ".join(words), lambda: read_documents(inputs, unit, text_field), size=_size(inputs))


def of_prepared_corpus(corpus: PreparedCorpus) -> TextCollection:
    """The documents of both splits, decoded; the order is that of the tables, training documents first."""

    def read() -> Iterator[Document]:
        tokenizer = load_tokenizer(corpus.tokenizer_folder)
        for split in SPLITS:
            table = getattr(corpus, split)
            for index, source in enumerate(table.source.tolist()):
                *tokens, _end = table.shards.document_tokens(index).tolist()
                yield Document(tokenizer.decode(tokens), corpus.sources[source])

    size = sum(int(getattr(corpus, split).bytes.sum()) for split in SPLITS)
    return TextCollection(str(corpus.folder), read, corpus=corpus, size=size)


def _size(inputs: Sequence[InputSource]) -> int | None:
    """Bytes of the files; they say nothing of the text where they are compressed."""
    files = list_source_files(inputs, ReadingReport())
    if any(file.compressed or file.suffix == ".parquet" for file in files):
        return None
    return sum(file.path.stat().st_size for file in files)


def _refuse_missing_path(word: str) -> None:
    """Raises UserError for what looks more like a path than like a text."""
    is_one_word = len(word.split()) == 1
    if is_one_word and (os.sep in word or word.removesuffix(".gz").endswith(SUFFIXES)):
        raise UserError(f"there is no file or folder {word}")
