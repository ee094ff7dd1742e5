"""Turning bytes and strings as they are found into text that can be encoded, and counting every change."""

import codecs
import re
from collections.abc import Callable

REPLACEMENT = "\ufffd"

CountRepair = Callable[[str, int], None]
"""Called with a key of `reading_report.REPAIRED` and how often the repair was made."""

_LONE_SURROGATE = re.compile("[\ud800-\udfff]")


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
