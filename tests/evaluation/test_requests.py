"""How texts become requests: lm-eval's rules on prefix token, spaces and truncation."""

import pytest

from tokenformer.errors import UserError
from tokenformer.evaluation.requests import Request, TextEncoder, encoded_requests


def letters(texts: list[str]) -> list[list[int]]:
    return [[ord(letter) for letter in text] for text in texts]


ENCODER = TextEncoder(letters, lambda texts: [[1, *ids] for ids in letters(texts)], prefix_token=0)


def asked(context: str, continuation: str, length: int | None = None) -> Request:
    return encoded_requests([(context, continuation)], ENCODER, length)[0]


def test_a_text_alone_follows_the_prefix_token():
    assert asked("", "ab") == Request((0, ord("a"), ord("b")), 2)


def test_a_text_that_begins_with_the_prefix_token_is_scored_after_it():
    encoder = TextEncoder(lambda texts: [[0, 5, 6]], letters, prefix_token=0)
    assert encoded_requests([("", "x")], encoder) == [Request((0, 5, 6), 2)]


def test_spaces_at_the_end_of_a_context_belong_to_what_follows():
    assert asked("a  ", "b") == Request((1, ord("a"), ord(" "), ord(" "), ord("b")), 3)


def test_a_context_is_cut_at_the_left():
    assert asked("abc", "de", 3) == Request(tuple(map(ord, "bcde")), 2, dropped=2)


def test_a_text_that_is_longer_than_the_model_reads_is_cut_at_the_left_and_scored():
    assert asked("", "abcde", 3) == Request(tuple(map(ord, "bcde")), 3, dropped=2)
    assert asked("ab", "cdef", 3) == Request(tuple(map(ord, "cdef")), 3, dropped=3)


def test_an_empty_text_cannot_be_scored():
    with pytest.raises(UserError, match="empty"):
        asked("", "")
