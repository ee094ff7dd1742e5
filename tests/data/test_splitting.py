"""Held-out documents: chosen by text and seed alone, in the stated share."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenformer.data.options import KEY_RANGE, is_held_out, text_key

texts = st.text(st.characters(exclude_categories=["Cs"]))


@given(texts, st.integers(0, 5))
def test_the_key_ignores_spacing_and_unicode_form(text, seed):
    key = text_key(text, seed)
    assert 0 <= key < KEY_RANGE
    assert key == text_key(f"  {text}\n", seed) == text_key(text.replace(" ", "\n  "), seed)
    assert key == text_key(unicodedata.normalize("NFC", text), seed)


def test_the_key_ignores_case_and_composition():
    assert text_key("Åsa ÄTER", 0) == text_key(unicodedata.normalize("NFD", "åsa äter"), 0)
    assert text_key("a", 0) != text_key("b", 0) != text_key("b", 1)


@pytest.mark.parametrize("share", [0.0, 0.02, 0.5, 1.0])
def test_the_share_is_held_to(share):
    held_out = sum(is_held_out(text_key(str(number), 0), share) for number in range(20_000))
    deviation = (20_000 * share * (1 - share)) ** 0.5
    assert abs(held_out - 20_000 * share) <= 4 * deviation


def test_a_larger_share_keeps_what_a_smaller_one_held_out():
    keys = [text_key(str(number), 0) for number in range(1000)]
    assert all(is_held_out(key, 0.3) for key in keys if is_held_out(key, 0.1))
