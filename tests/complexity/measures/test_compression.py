import random
import zlib

import pytest

from tokenformer.complexity.measures.compression import COMPRESSION, WINDOW

SENTENCE = "The quick brown fox jumps over the lazy dog and runs. "


def test_one_window_is_its_ratio():
    text = (SENTENCE * 40)[:WINDOW]
    assert COMPRESSION([text], "en")[0] == len(zlib.compress(text.encode(), 6)) / WINDOW


def test_windows_cover_the_whole_text():
    easy, hard = "a" * WINDOW, "".join(random.Random(0).choices("abcdefghijklmnopqrstuvwxyz", k=WINDOW))
    ratios = COMPRESSION([easy, hard], "en")
    assert COMPRESSION([easy + hard], "en")[0] == pytest.approx(ratios.mean())
    assert COMPRESSION([easy * 3 + hard[:10]], "en")[0] > ratios[0]


def test_a_short_text_is_repeated_to_fill_the_window():
    assert COMPRESSION([SENTENCE, SENTENCE * 2], "en")[0] == COMPRESSION([SENTENCE * 2], "en")[0]
    assert COMPRESSION([""], "sv")[0] == 0


def test_random_letters_are_harder_than_repetition():
    letters = "".join(random.Random(0).choices("abcdefghijklmnopqrstuvwxyz ", k=5000))
    repeated, prose, noise = COMPRESSION(["la " * 2000, SENTENCE * 100, letters], "en")
    assert repeated < prose < noise
