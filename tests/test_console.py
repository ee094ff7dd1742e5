"""What people see: numbers, tables and progress."""

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenformer import console
from tokenformer.console import printable, progress_steps, short_number, show, table

FACTORS = {"k": 1e3, "M": 1e6, "B": 1e9, "T": 1e12}
cells = st.text(st.characters(exclude_categories=("Cs", "Zl", "Zp", "Mn", "Me", "Cf")), max_size=12)


def value_of(text: str) -> float:
    return float(text.rstrip("kMBT")) * FACTORS.get(text[-1], 1.0)


@given(st.floats(1e-4, 9.994e14) | st.integers(0, 10**14), st.sampled_from([1, -1]))
def test_short_numbers_are_right_to_three_digits_and_short(value, sign):
    text = short_number(sign * value)
    assert value_of(text) == pytest.approx(sign * value, rel=0.005)
    assert "e" not in text
    assert len(text) <= 5 + (sign < 0) or abs(value) < 1
    assert short_number(value_of(text)) == text


@given(st.floats(1, 9e14), st.floats(1, 1.1))
def test_short_numbers_keep_the_order(value, factor):
    assert value_of(short_number(value)) <= value_of(short_number(value * factor))


@pytest.mark.parametrize(
    ("value", "text"),
    [(999_999, "1M"), (999.4, "999"), (999.6, "1k"), (0, "0"), (1e15, "1e+15"), (float("nan"), "nan")],
)
def test_short_numbers_at_the_edges(value, text):
    assert short_number(value) == text


@given(
    st.integers(1, 4).flatmap(lambda n: st.lists(st.lists(cells, min_size=n, max_size=n), min_size=1, max_size=4)),
    st.integers(30, 60),
)
def test_a_table_loses_no_character(rows, width):
    columns = [f"c{number}" for number in range(len(rows[0]))]
    text = table(columns, rows, width=width)
    shown = re.sub(r"[\s─]", "", text)
    expected = re.sub(r"[\s─]", "", printable("".join([*columns, *(cell for row in rows for cell in row)])))
    assert sorted(shown) == sorted(expected)


def test_a_table_is_no_wider_than_asked_for():
    text = table(("name", "number"), [("long " * 30, "123456")], width=40)
    assert max(map(len, text.split("\n"))) <= 40


def test_a_redirected_table_is_not_folded(capsys):
    lines = table(("name", "number"), [("x" * 300, "1")]).split("\n")
    assert len(lines) == 3 and "\x1b" not in "".join(lines)


@given(st.text())
def test_nothing_printable_obeys_a_terminal(text):
    assert all(each.isprintable() or each in "\n\t" for each in printable(text))


def test_redirected_work_is_not_mute(capsys, monkeypatch):
    monkeypatch.setattr(console, "SECONDS_BETWEEN_LINES", 0.01)
    with progress_steps() as step:
        advance = step("reading", total=400)
        advance(100)
        wait_for(capsys, r"^reading: 100 of 400 \(25 %\), \d+ s since the start$")
        step("training the tokenizer")
        wait_for(capsys, r"^training the tokenizer, \d+ s since the start$")


def wait_for(capsys, pattern: str) -> None:
    for _ in range(1000):
        if re.search(pattern, capsys.readouterr().err, flags=re.MULTILINE):
            return
        time.sleep(0.01)
    pytest.fail(f"nothing like {pattern} was printed")


def test_what_a_terminal_would_obey_is_spelt_out(capsys):
    show("a\x1b[2Jb\x07\nc")
    assert capsys.readouterr().out == "a\\x1b[2Jb\\x07\nc\n"
