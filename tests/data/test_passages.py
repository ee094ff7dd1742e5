"""Passages: nothing lost, about as long as asked for, and cut at the best border within reach."""

from hypothesis import given, settings
from hypothesis import strategies as st

from tokenformer.data.passages import passages

LINES = st.lists(st.text(st.sampled_from("ab.!?… \t\"')é"), max_size=60), max_size=40)


def sentence(words: int) -> str:
    return " ".join(["word"] * (words - 1) + ["end."])


@settings(max_examples=300)
@given(lines=LINES, words=st.integers(1, 30))
def test_nothing_but_white_space_at_the_borders_is_lost(lines, words):
    found = list(passages(lines, words))
    assert [word for passage in found for word in passage.split()] == [word for line in lines for word in line.split()]
    text, place = "\n".join(lines), 0
    for passage in found:
        start = text.index(passage, place)
        assert not text[place:start].strip()
        place = start + len(passage)
    assert not text[place:].strip()


@settings(max_examples=300)
@given(lines=LINES, words=st.integers(1, 30))
def test_length_is_bounded(lines, words):
    *all_but_last, last = [len(passage.split()) for passage in passages(lines, words)] or [0]
    assert all(0.75 * words <= length <= 1.25 * words or words < 4 for length in all_but_last)
    assert last < 1.5 * words or words < 2


def test_a_blank_line_is_better_than_a_line_and_a_line_than_a_sentence():
    lines = [sentence(10), sentence(10), sentence(10) + " " + sentence(10), "", *[sentence(10)] * 6]
    assert next(passages(lines, 40)).endswith("end.")
    assert [len(passage.split()) for passage in passages(lines, 35)][0] == 40  # the blank line, not the line at 30
    lines = [" ".join([sentence(5)] * 6), *[sentence(14)] * 4]
    assert [len(passage.split()) for passage in passages(lines, 25)][0] == 30  # the end of the line, not a sentence's
    assert [len(passage.split()) for passage in passages([" ".join([sentence(7)] * 9)], 20)][0] == 21


def test_text_without_borders_is_cut_between_words():
    assert [len(passage.split()) for passage in passages([" ".join(["word"] * 1000)], 100)] == [100] * 9 + [100]


def test_blank_lines_inside_stay():
    assert list(passages(["one", "", "  ", "two"], 200)) == ["one\n\n  \ntwo"]
    assert list(passages(["", "", "one", ""], 200)) == ["one"]
    assert list(passages(["", " "], 200)) == []
