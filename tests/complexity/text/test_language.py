import pytest

from tests.support.cases import cases
from tests.support.ladders import LADDERS
from tokenformer.complexity import score
from tokenformer.complexity.text.language import OTHER, certain_language, detect_language, known_language
from tokenformer.errors import UserError


@pytest.mark.parametrize("language", ["en", "sv"])
def test_every_rung_of_a_ladder_is_told(language):
    found = [detect_language([text]) for text in LADDERS[language][:4]]
    assert [one.language for one in found] == [language] * 4
    assert all(one.confidence > 0.99 for one in found)


@cases(
    "Bonjour tout le monde, comment allez-vous aujourd'hui ?",
    "Das ist ein sehr schönes Haus und ich mag es nicht.",
    "Tämä on hyvin pieni talo, mutta pidän siitä paljon.",
    "Det er en hyggelig bog, som jeg ikke kunne lægge fra mig, og nu længes jeg efter den næste.",
    "日本語のテキストです",
    "x7 = qz(w, k3) % vv",
)
def test_other_languages_are_neither(text):
    assert detect_language([text]).language == OTHER
    with pytest.raises(UserError, match="cannot be told.*best guess: other"):
        certain_language([text])


def test_half_and_half_is_half_sure_and_refused():
    texts = [LADDERS["en"][2], LADDERS["sv"][2]]
    assert 0.4 < detect_language(texts).confidence < 0.6
    with pytest.raises(UserError, match="confidence 0.5"):
        score(texts, language="auto")


@pytest.mark.parametrize("texts", [[], [""], ["1914 - 3.14"], ["\0"]])
def test_texts_without_words_are_refused(texts):
    assert detect_language(texts).language == OTHER
    with pytest.raises(UserError, match="cannot be told"):
        certain_language(texts)


def test_auto_scores_in_the_language_that_is_found():
    assert score(LADDERS["sv"], "auto", "lix").tolist() == score(LADDERS["sv"], "sv", "lix").tolist()
    assert score(LADDERS["en"], "auto").tolist() == score(LADDERS["en"], "en").tolist()


def test_corpora_are_told_by_their_beginnings(shared_data):
    for language in ("en", "sv"):
        for path in sorted((shared_data / language / "dev").glob("*.txt")):
            paragraphs = path.read_text(encoding="utf-8").split("\n\n")
            found = detect_language(paragraphs)
            assert found.language == language and found.confidence > 0.9, (path.name, found)


@pytest.mark.parametrize(
    ("name", "code"),
    [("english", "en"), ("Svenska", "sv"), ("swedish", "sv"), ("EN", "en"), ("suomi", "fi"), ("formal", "formal")],
)
def test_languages_are_known_by_code_and_by_name(name, code):
    assert known_language(name) == code
    assert known_language(code) == code


@pytest.mark.parametrize(("name", "near"), [("englich", "english"), ("formel", "formal")])
def test_an_unknown_language_is_refused_with_the_nearest(name, near):
    with pytest.raises(UserError, match=f"there is no language '{name}'; did you mean {near}"):
        score(["a text"], name)
