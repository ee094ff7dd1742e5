import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from tests.support.plain_words import SentenceSplitter, words
from tokenformer.complexity.text.words import PERIODS, letters, normalise

any_text = st.text(st.characters(exclude_categories=()))
periods = SentenceSplitter(PERIODS)


def test_words_keep_inner_apostrophes_and_hyphens_only():
    text = "Don't touch the 'mother-in-law', dogs' -- 3.14 rock'n'roll! å-ä"
    found = ["Don't", "touch", "the", "mother-in-law", "dogs", "3", "14", "rock'n'roll", "å-ä"]
    assert words(text) == found


def test_typographic_marks_make_no_difference():
    assert words(normalise("don’t well‐known co\u00adoperate")) == ["don't", "well-known", "cooperate"]


def test_marks_without_a_composed_form_stay_in_their_word():
    assert words(normalise("q̃uick हिन्दी")) == ["q̃uick", "हिन्दी"]


def test_text_of_symbols_has_words_and_blank_text_has_none():
    assert words("*** 😀😀 _") == ["***", "😀😀", "_"]
    assert words(" \n\t") == []
    assert words("snake_case") == ["snake", "case"]


def test_letters_leave_the_marks_out():
    assert letters("mother-in-law's") == len("motherinlaws")


@given(any_text)
def test_normalised_form_is_one_for_all_equivalent_texts(text):
    forms = {normalise(unicodedata.normalize(form, text)) for form in ("NFC", "NFD")}
    assert forms == {normalise(text)}


def test_sentences_end_at_marks_before_a_space():
    assert len(periods('He paid 3.14 at 12:30. "Really?" she asked... Yes!')) == 4
    assert len(periods("One: two. Three")) == 2
    assert len(SentenceSplitter(PERIODS + ":")("One: two. Three")) == 3


def test_sentences_end_at_blank_lines_and_not_at_line_breaks():
    assert len(periods("A title\n \nA line\nand another")) == 2


def test_pieces_without_letters_are_no_sentences():
    assert len(periods('" ... " Hello. ... !')) == 1
    assert periods(" \n ") == []
    assert len(periods("***\n\n***")) == 2


@given(any_text)
def test_every_text_with_a_word_has_a_sentence(text):
    assert bool(periods(text)) == bool(words(text))


@given(any_text)
def test_a_text_after_itself_has_twice_the_words_and_sentences(text):
    twice = f"{text}\n\n{text}"
    assert words(twice) == words(text) * 2
    assert len(periods(twice)) == 2 * len(periods(text))
