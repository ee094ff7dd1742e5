"""Documents from files of each type: the exact texts, and the exact counts of what was repaired or dropped."""

import gzip
import json

import pyarrow
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

from tests.support.cases import cases
from tokenformer.data.reading import InputSource, ReadingReport, read_documents
from tokenformer.errors import UserError


def read(*paths, unit="line", **options):
    """Texts, and the report as (totals, {reason: count})."""
    report = ReadingReport()
    texts = [
        document.text
        for document in read_documents([InputSource(path) for path in paths], unit, report=report, **options)
    ]
    content = report.as_dict()
    reasons = {name: entry["count"] for kind in ("repaired", "dropped") for name, entry in content[kind].items()}
    return texts, content["total"], reasons


def write(path, content: bytes):
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


DIRTY_TEXT = {
    "byte-order mark": (b"\xef\xbb\xbfone\ntwo", ["one", "two"], {"byte_order_mark": 1}),
    "byte-order mark in the middle stays": ("one\n\ufefftwo".encode(), ["one", "\ufefftwo"], {}),
    "CRLF": (b"one\r\ntwo\r\n", ["one", "two"], {"line_ending": 2}),
    "CR": (b"one\rtwo\r", ["one", "two"], {"line_ending": 2}),
    "CR CRLF": (b"one\r\r\ntwo", ["one", "two"], {"line_ending": 2, "blank_document": 1}),
    "NUL": (b"o\0n\0e\n\0two", ["one", "two"], {"nul": 3}),
    "a line of NULs": (b"one\n\0\0\0\ntwo", ["one", "two"], {"nul": 3, "blank_document": 1}),
    "latin-1": ("på\nö".encode("latin-1"), ["p\ufffd", "\ufffd"], {"invalid_utf8": 2}),
    "cut multi-byte character": ("aå".encode()[:-1], ["a\ufffd"], {"invalid_utf8": 1}),
    "surrogate in UTF-8": (b"a\xed\xa0\x80", ["a\ufffd\ufffd\ufffd"], {"invalid_utf8": 3}),
    "U+FFFD that was there": ("a\ufffdb".encode() + b"\xff", ["a\ufffdb\ufffd"], {"invalid_utf8": 1}),
    "blank lines": (b"\none\n \t\n\xc2\xa0\n", ["one"], {"blank_document": 3}),
    "empty file": (b"", [], {"empty_file": 1}),
    "spaces and other separators stay": (" a\t\n\x0bb\x0c \u2028c".encode(), [" a\t", "\x0bb\x0c \u2028c"], {}),
    "NFD stays": ("A\u030asa".encode(), ["A\u030asa"], {}),
}


@pytest.mark.parametrize("suffix", [".txt", ".train", ".txt.gz"])
@pytest.mark.parametrize("case", DIRTY_TEXT)
def test_dirty_plain_text_is_repaired_and_counted(tmp_path, case, suffix):
    raw, expected, reasons = DIRTY_TEXT[case]
    texts, total, counted = read(write(tmp_path / f"x{suffix}", raw))
    assert texts == expected
    assert counted == reasons
    assert total == {
        "files": 1,
        "documents": len(expected),
        "words": sum(len(text.split()) for text in expected),
        "characters": sum(map(len, expected)),
        "bytes": sum(len(text.encode()) for text in expected),
    }


def test_units_of_plain_text(tmp_path):
    file = write(tmp_path / "x.txt", b"\n\na\r\nb\n \t\n\nc\n")
    assert read(file, unit="line")[0] == ["a", "b", "c"]
    assert read(file, unit="paragraph")[0] == ["a\nb", "c"]
    assert read(file, unit="file")[0] == ["\n\na\nb\n \t\n\nc\n"]
    assert read(file, unit="paragraph")[2] == {"line_ending": 1}


def test_a_file_of_nothing_but_whitespace(tmp_path):
    file = write(tmp_path / "x.txt", b" \n\t\n")
    assert read(file, unit="file")[2] == {"blank_document": 1}
    assert read(file, unit="line")[2] == {"blank_document": 2}
    assert read(file, unit="paragraph")[0] == []


def test_a_very_long_line_is_one_document(tmp_path):
    assert read(write(tmp_path / "x.txt", b"word " * 1_000_000))[1]["words"] == 1_000_000


line_texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\n\r\0"), min_size=1).filter(
    lambda text: not text.isspace() and not text.startswith("\ufeff")
)


@given(st.lists(line_texts, min_size=1))
def test_clean_lines_come_back_as_they_are(tmp_path_factory, texts):
    file = tmp_path_factory.mktemp("lines") / "x.txt"
    write(file, "\n".join(texts).encode())
    assert (read(file)[0], read(file)[2]) == (texts, {})


DIRTY_JSON = {
    "clean": (b'{"text": "a"}\n{"text": "b", "id": 1}\n', ["a", "b"], {}),
    "byte-order mark and CRLF between rows": (b'\xef\xbb\xbf{"text": "a"}\r\n', ["a"], {"byte_order_mark": 1}),
    "malformed": (b'{"text": "a"}\n{"text": "b"\nx\n{"text": "c"}', ["a", "c"], {"malformed_json": 2}),
    "nested too deep": (b"[" * 100_000 + b'\n{"text": "a"}', ["a"], {"malformed_json": 1}),
    "no such field": (b'{"body": "a"}\n[1]\n"text"\nnull\n{"text": "b"}', ["b"], {"missing_text": 4}),
    "not a string": (b'{"text": 1}\n{"text": null}\n{"text": ["a"]}', [], {"missing_text": 3}),
    "lone surrogates": (rb'{"text": "a\ud800b\udc00"}', ["a\ufffdb\ufffd"], {"lone_surrogate": 2}),
    "a surrogate pair is a character": (rb'{"text": "\ud83d\ude00"}', ["\U0001f600"], {}),
    "CRLF in the text": (rb'{"text": "a\r\nb"}', ["a\nb"], {"line_ending": 1}),
    "NUL in text and file": (b'{"text": "a\\u0000b"}\n\0\0', ["ab"], {"nul": 3}),
    "blank and empty": (b'{"text": " \\n"}\n\n{"text": ""}\n', [], {"blank_document": 2}),
    "invalid UTF-8": (b'{"text": "\xe5"}', ["\ufffd"], {"invalid_utf8": 1}),
    "empty file": (b"", [], {"empty_file": 1}),
}


@pytest.mark.parametrize("suffix", [".jsonl", ".jsonl.gz"])
@pytest.mark.parametrize("case", DIRTY_JSON)
def test_dirty_json_lines_are_repaired_and_counted(tmp_path, case, suffix):
    raw, expected, reasons = DIRTY_JSON[case]
    for unit in ("line", "file"):
        texts, total, counted = read(write(tmp_path / f"x{suffix}", raw), unit=unit)
        assert (texts, counted, total["documents"]) == (expected, reasons, len(expected))


def test_the_first_three_malformed_lines_are_named(tmp_path):
    file = write(tmp_path / "x.jsonl", b'{"text": "a"}\n' + b"oops\n" * 5)
    report = ReadingReport()
    list(read_documents([InputSource(file)], "line", report=report))
    assert report.as_dict()["dropped"]["malformed_json"] == {
        "count": 5,
        "sources": {"x": 5},
        "examples": [f"{file}:2", f"{file}:3", f"{file}:4"],
    }
    assert any("5 malformed JSON lines dropped" in line and f"{file}:2" in line for line in report.lines())


def write_parquet(path, column):
    parquet.write_table(pyarrow.table({"text": column, "id": list(range(len(column)))}), path, row_group_size=2)
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(path.read_bytes()))
    return path


@pytest.mark.parametrize("name", ["x.parquet", "x.parquet.gz"])
@cases(
    pyarrow.string(),
    pyarrow.large_string(),
    pyarrow.string_view(),
    pyarrow.binary(),
    pyarrow.dictionary(pyarrow.int32(), pyarrow.string()),
    ids=str,
)
def test_parquet_of_every_text_type(tmp_path, name, kind):
    column = pyarrow.array(["å\r\nb", None, " ", "c\0", "d"], pyarrow.string()).cast(kind)
    texts, total, reasons = read(write_parquet(tmp_path / name, column))
    assert texts == ["å\nb", "c", "d"]
    assert reasons == {"line_ending": 1, "missing_text": 1, "blank_document": 1, "nul": 1}
    assert total["documents"] == 3


def test_parquet_with_invalid_utf8(tmp_path):
    column = pyarrow.array([b"a\xff", b"b"], pyarrow.binary()).view(pyarrow.string())
    assert read(write_parquet(tmp_path / "x.parquet", column))[::2] == (["a\ufffd", "b"], {"invalid_utf8": 1})


def test_every_file_type_gives_the_same_documents(tmp_path):
    texts = ["Åsa äter", "two  words ", "\u00a0x", "{}"]
    write(tmp_path / "a.txt", "\n".join(texts).encode())
    write(tmp_path / "b.jsonl", "\n".join(json.dumps({"text": text}) for text in texts).encode())
    write_parquet(tmp_path / "c.parquet", pyarrow.array(texts))
    report = ReadingReport()
    documents = list(read_documents([InputSource(tmp_path)], "line", report=report))
    assert [document.text for document in documents] == texts * 3
    assert [document.source for document in documents] == [name for name in "abc" for _ in texts]
    counts = list(report.as_dict()["sources"].values())
    assert counts[0] == counts[1] == counts[2]


def test_another_text_field(tmp_path):
    file = write(tmp_path / "x.jsonl", b'{"body": "a"}')
    assert read(file, text_field="body")[0] == ["a"]


UNREADABLE = {
    "a.txt.gz": (gzip.compress(b"text " * 1000)[:-9], "whole gzip"),
    "b.txt.gz": (b"no gzip at all", "whole gzip"),
    "c.jsonl.gz": (gzip.compress(b'{"text": "a"}')[:12] + b"\xff" * 20, "whole gzip"),
    "d.parquet": (b"PAR1 but no more PAR1", "whole Parquet"),
    "e.parquet.gz": (gzip.compress(b"no Parquet"), "whole Parquet"),
    "f.parquet.gz": (b"no gzip at all", "whole gzip"),
    "g.txt": ("text".encode("utf-16"), "UTF-16"),
}


@pytest.mark.parametrize("name", UNREADABLE)
@pytest.mark.parametrize("unit", ["line", "paragraph", "file"])
def test_a_broken_file_is_named(tmp_path, name, unit):
    raw, message = UNREADABLE[name]
    (tmp_path / name).write_bytes(raw)
    with pytest.raises(UserError, match=message) as error:
        read(tmp_path / name, unit=unit)
    assert str(tmp_path / name) in str(error.value)


@pytest.mark.parametrize("field, message", [("body", "its columns: text, id"), ("id", "holds int64")])
def test_a_parquet_column_that_holds_no_text(tmp_path, field, message):
    file = write_parquet(tmp_path / "x.parquet", pyarrow.array(["a"]))
    with pytest.raises(UserError, match=message):
        read(file, text_field=field)


def test_an_unknown_unit(tmp_path):
    with pytest.raises(UserError, match="line, paragraph, file"):
        read(write(tmp_path / "x.txt", b"a"), unit="word")


def test_reading_is_streaming(tmp_path):
    """The first documents are there although a later file cannot be read."""
    write(tmp_path / "a.txt", b"one\ntwo")
    (tmp_path / "b.parquet").write_bytes(b"broken")
    documents = read_documents([InputSource(tmp_path)], "line")
    assert [next(documents).text, next(documents).text] == ["one", "two"]
    with pytest.raises(UserError):
        next(documents)
