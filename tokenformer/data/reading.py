"""Documents from text files: plain text, JSON lines and Parquet, each also gzip-compressed."""

import codecs
import gzip
import io
import json
import re
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal, get_args

from tokenformer.data.passages import WORDS, passages
from tokenformer.data.reading_report import ReadingReport
from tokenformer.data.source_files import PLAIN_TEXT_SUFFIXES, InputSource, SourceFile, list_source_files
from tokenformer.errors import UserError

Unit = Literal["passage", "line", "paragraph", "file"]
"""The kinds of document in plain text; blank lines separate paragraphs, and `passages` says what a passage is."""

_ROWS_PER_BATCH = 1024


REPLACEMENT = "\ufffd"

CountRepair = Callable[[str, int], None]
"""Called with a key of `reading_report.REPAIRED` and how often the repair was made."""

ByteStream = gzip.GzipFile | io.BufferedReader
"""The bytes of a file, decompressed."""

_LONE_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Document:
    """One text, with the name of the source (file) that it is from."""

    text: str
    source: str


def read_documents(
    inputs: Sequence[InputSource],
    unit: Unit,
    text_field: str = "text",
    report: ReadingReport | None = None,
    passage_words: int = WORDS,
) -> Iterator[Document]:
    """The documents of `inputs`, file by file, in an order that depends on the inputs and file names alone.

    In plain text a document is a `unit`, a passage of about `passage_words` words; in `.jsonl` and `.parquet` it is a
    row's `text_field`. Memory is bounded by the longest document (a `.parquet.gz` is unpacked in memory). The text is
    as in the file (no Unicode normalisation, no stripping), but for the line end after a line or paragraph, the white
    space around a passage and the repairs named in `reading_report.REPAIRED`. `report` is filled on the way.

    Raises UserError for inputs that cannot be read (see `list_source_files`), broken gzip or Parquet files, UTF-16
    text and Parquet files without a text column `text_field`.
    """
    if unit not in get_args(Unit):
        raise UserError(f"unit '{unit}' is not known: choose one of {', '.join(get_args(Unit))}")
    report = ReadingReport() if report is None else report
    files = list_source_files(inputs, report)
    plain_text = _unit_reader(unit, passage_words)
    return (document for file in files for document in _read_file(file, plain_text, text_field, report))


def _read_file(
    file: SourceFile, plain_text: "PlainTextReader", text_field: str, report: ReadingReport
) -> Iterator[Document]:
    counts = report.source(file.source)
    counts.files += 1
    with _opened(file) as stream:
        if not stream.peek(1):
            report.count("empty_file", file.source, example=str(file.path))
            return
        if file.suffix in PLAIN_TEXT_SUFFIXES:
            texts = plain_text(stream, file, report)
        else:
            texts = _ROW_READERS[file.suffix](stream, file, text_field, report)
        for text in texts:
            if not text or text.isspace():
                report.count("blank_document", file.source)
                continue
            counts.add_text(text)
            yield Document(text, file.source)


@contextmanager
def _opened(file: SourceFile) -> Iterator[ByteStream]:
    """The (decompressed) bytes of a file; what goes wrong while they are read becomes a UserError."""
    try:
        with gzip.open(file.path, "rb") if file.compressed else file.path.open("rb") as stream:
            yield stream
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise UserError(f"{file.path} is not a whole gzip file ({error}): make or fetch it again") from error
    except PermissionError as error:
        raise UserError(f"{file.path} may not be read: change its permissions") from error


def _lines(stream: ByteStream, file: SourceFile, report: ReadingReport) -> Iterator[str]:
    """Repaired lines without their ends."""
    count = _counter(file, report)
    for raw in _raw_lines(stream, file, report):
        text = clean_text(decode_utf8(raw, count), count)
        yield from text.removesuffix("\n").split("\n")


def _raw_lines(stream: ByteStream, file: SourceFile, report: ReadingReport) -> Iterator[bytes]:
    """Lines as bytes, LF included, the byte-order mark gone."""
    first = next(stream, b"")
    _refuse_utf16(first, file)
    yield remove_byte_order_mark(first, _counter(file, report))
    yield from stream


def _paragraphs(stream: ByteStream, file: SourceFile, report: ReadingReport) -> Iterator[str]:
    paragraph: list[str] = []
    for line in _lines(stream, file, report):
        if line and not line.isspace():
            paragraph.append(line)
        elif paragraph:
            yield "\n".join(paragraph)
            paragraph = []
    if paragraph:
        yield "\n".join(paragraph)


def _whole_file(stream: ByteStream, file: SourceFile, report: ReadingReport) -> Iterator[str]:
    count = _counter(file, report)
    raw = stream.read()
    _refuse_utf16(raw, file)
    yield clean_text(decode_utf8(remove_byte_order_mark(raw, count), count), count)


def _refuse_utf16(start: bytes, file: SourceFile) -> None:
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise UserError(f"{file.path} is UTF-16 text: convert it to UTF-8, for example with iconv -f UTF-16 -t UTF-8")


def _json_rows(stream: ByteStream, file: SourceFile, text_field: str, report: ReadingReport) -> Iterator[str]:
    count = _counter(file, report)
    for number, raw in enumerate(_raw_lines(stream, file, report), start=1):
        line = remove_nul(decode_utf8(raw, count), count)
        if not line or line.isspace():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            report.count("malformed_json", file.source, example=f"{file.path}:{number}")
            continue
        text = row.get(text_field) if isinstance(row, dict) else None
        if isinstance(text, str):
            yield clean_text(text, count)
        else:
            report.count("missing_text", file.source, example=f"{file.path}:{number}")


def _parquet_rows(stream: ByteStream, file: SourceFile, text_field: str, report: ReadingReport) -> Iterator[str]:
    import pyarrow
    from pyarrow import parquet

    count = _counter(file, report)
    try:
        table = parquet.ParquetFile(io.BytesIO(stream.read()) if file.compressed else stream)
        _require_text_column(table.schema_arrow, file, text_field)
        row = 0
        for batch in table.iter_batches(batch_size=_ROWS_PER_BATCH, columns=[text_field]):
            for raw in _as_bytes(batch.column(0)):
                row += 1
                if raw is None:
                    report.count("missing_text", file.source, example=f"{file.path}:{row}")
                else:
                    yield clean_text(decode_utf8(raw, count), count)
    except (pyarrow.ArrowInvalid, pyarrow.ArrowNotImplementedError, OSError) as error:
        if isinstance(error, gzip.BadGzipFile):
            raise
        raise UserError(f"{file.path} is not a whole Parquet file ({error}): make or fetch it again") from error


def _require_text_column(schema, file: SourceFile, text_field: str) -> None:
    import pyarrow

    if text_field not in schema.names:
        columns = ", ".join(schema.names)
        raise UserError(f"{file.path} has no column '{text_field}' (its columns: {columns}): set the text field to one")
    kind = schema.field(text_field).type
    if pyarrow.types.is_dictionary(kind):
        kind = kind.value_type
    if kind not in (
        pyarrow.string(),
        pyarrow.large_string(),
        pyarrow.string_view(),
        pyarrow.binary(),
        pyarrow.large_binary(),
        pyarrow.null(),
    ):
        raise UserError(
            f"the column '{text_field}' of {file.path} holds {kind}, not text: set the text field to another"
        )


def _as_bytes(column) -> list[bytes | None]:
    """The column's values undecoded, because Parquet writers do not check that a string is UTF-8."""
    import pyarrow

    if pyarrow.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    return column.cast(pyarrow.large_binary()).to_pylist()


def decode_utf8(raw: bytes, count: CountRepair) -> str:
    """Decode UTF-8; each invalid sequence becomes one U+FFFD, as Python's "replace" does, and is counted."""
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        text = raw.decode("utf-8", errors="replace")
        count("invalid_utf8", text.count(REPLACEMENT) - raw.count(REPLACEMENT.encode("utf-8")))
        return text


def remove_byte_order_mark(raw: bytes, count: CountRepair) -> bytes:
    """Strip UTF-8's byte-order mark; `raw` is the beginning of a file."""
    if raw.startswith(codecs.BOM_UTF8):
        count("byte_order_mark", 1)
        return raw[len(codecs.BOM_UTF8) :]
    return raw


def remove_nul(text: str, count: CountRepair) -> str:
    """Delete NUL characters."""
    if "\0" in text:
        count("nul", text.count("\0"))
        return text.replace("\0", "")
    return text


def clean_text(text: str, count: CountRepair) -> str:
    """Delete NULs, make line endings LF, replace lone surrogates; all else stays, normalisation form included."""
    text = remove_nul(text, count)
    if "\r" in text:
        count("line_ending", text.count("\r"))
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    return replace_lone_surrogates(text, count)


def replace_lone_surrogates(text: str, count: CountRepair) -> str:
    """Replace the code points that UTF-8 cannot hold, which an escape in JSON can bring in, by U+FFFD."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        text, surrogates = _LONE_SURROGATE.subn(REPLACEMENT, text)
        count("lone_surrogate", surrogates)
    return text


def _counter(file: SourceFile, report: ReadingReport) -> CountRepair:
    return lambda reason, amount: report.count(reason, file.source, amount)


def _unit_reader(unit: Unit, passage_words: int) -> "PlainTextReader":
    """The function that makes documents of a file of plain text."""

    def read_passages(stream: ByteStream, file: SourceFile, report: ReadingReport) -> Iterator[str]:
        return passages(_lines(stream, file, report), passage_words)

    return {"passage": read_passages, "line": _lines, "paragraph": _paragraphs, "file": _whole_file}[unit]


PlainTextReader = Callable[[ByteStream, SourceFile, ReadingReport], Iterator[str]]
_ROW_READERS = {".jsonl": _json_rows, ".parquet": _parquet_rows}
