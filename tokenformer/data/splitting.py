"""Which documents are held out, decided by their text alone."""

import hashlib
import unicodedata

KEY_RANGE = 2**64


def text_key(text: str, seed: int) -> int:
    """An evenly spread number below KEY_RANGE, equal for texts that differ only in case, whitespace or NFC/NFD."""
    plain = " ".join(unicodedata.normalize("NFC", text).casefold().split())
    digest = hashlib.blake2b(f"{seed}\n{plain}".encode(), digest_size=8)
    return int.from_bytes(digest.digest(), "big")


def is_held_out(key: int, share: float) -> bool:
    """Whether the document with this key is held out, where `share` (0 to 1) of the distinct texts is."""
    return key < share * KEY_RANGE
