"""What holds for every measure in the registry, in every language that it is for.

The measures of a language share one analysis of the texts, as they do in use; a failure names the measure.
"""

import pickle
import unicodedata

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.ladders import LADDERS
from tokenformer.complexity import MEASURES
from tokenformer.complexity.measure import ARTIFICIAL, NATURAL
from tokenformer.complexity.text.documents import analysed
from tokenformer.errors import MissingExtraError, UserError

any_text = st.text(st.characters(exclude_categories=()))
mostly_words = st.text(st.sampled_from("aeåäöÅé dTt \n.!?:'’-0🙂\u0301({})=\""), max_size=60)

# Measures whose docstring gives a tolerance for a doubled text; the others do not change at all.
CHANGED_BY_DOUBLING = {"surprisal", "ensemble", "regressor", "mattr", "mtld", "compression"}

AWKWARD_TEXTS = [
    "",
    " \n\t ",
    "word",
    "1234567890 3.14",
    "😀😀😀",
    "\0",
    "a\0b\0",
    "\ud800",
    "\ufeff",
    "_____",
    "ÅÄÖ",
    "日本語のテキスト。",
    "." * 100_000 + "x",
    "'" * 100_000,
    '"' * 100_001,
    "/*" * 100_000,
    "a'" * 100_000,
    ". ' " * 50_000,
    "e" * 100_000 + "ful",
    "\n" + " " * 100_000 + "x",
    "(" * 100_000,
]


def measures_of(language: str) -> dict:
    """Name -> scorer, fitted on the ladder where it learns; measures whose package is not installed are left out."""
    scorers = {}
    for name, measure in MEASURES.items():
        if measure.holds_for(language) and not measure.needs_model:
            try:
                scorers[name] = measure.fit(LADDERS[language], language)
            except MissingExtraError:
                assert name in ("word_rarity", "vocabulary_rarity", "rare_words", "regressor")
    return scorers


@pytest.fixture(scope="module", params=LADDERS)
def language(request):
    return request.param


@pytest.fixture(scope="module")
def scorers(language):
    return measures_of(language)


def scores_of(scorers, texts) -> dict[str, np.ndarray]:
    documents = analysed(texts)
    return {name: scorer.on(documents) for name, scorer in scorers.items()}


def test_registry_names_and_facts():
    for name, measure in MEASURES.items():
        assert measure.name == name
        assert measure.unit and measure.source and measure.cost and measure.languages


@settings(max_examples=60)
@given(text=any_text | mostly_words)
def test_finite_and_equal_for_equivalent_texts(scorers, text):
    forms = [text, unicodedata.normalize("NFC", text), unicodedata.normalize("NFD", text)]
    for name, scores in scores_of(scorers, forms).items():
        assert scores.dtype == np.float64 and scores.shape == (3,), name
        assert np.isfinite(scores).all(), name
        assert scores[0] == scores[1] == scores[2], name


def test_swedish_letters_may_be_composed_or_not(scorers):
    composed = f"{LADDERS['sv'][2]}\n\nåäö = {{'å': [ö]}}"
    decomposed = unicodedata.normalize("NFD", composed)
    assert decomposed != composed
    for name, scores in scores_of(scorers, [composed, decomposed]).items():
        assert scores[0] == scores[1], name


def test_scorers_can_be_sent_to_other_processes(scorers, language):
    copies = pickle.loads(pickle.dumps(scorers))
    expected = scores_of(scorers, LADDERS[language])
    for name, scores in scores_of(copies, LADDERS[language]).items():
        np.testing.assert_array_equal(scores, expected[name], err_msg=name)


def test_finite_for_awkward_texts(scorers):
    for name, scores in scores_of(scorers, AWKWARD_TEXTS).items():
        assert np.isfinite(scores).all(), name


@pytest.mark.slow
@pytest.mark.parametrize("character", ["a", "a ", "ord. ", "(", '"', "\n", "å'", "#", "\0"])
def test_finite_for_a_line_of_ten_megabytes(scorers, character):
    for name, scores in scores_of(scorers, [character * (10_000_000 // len(character))]).items():
        assert np.isfinite(scores).all(), name


@settings(max_examples=40)
@given(texts=st.lists(mostly_words, max_size=6))
def test_a_score_depends_on_its_text_alone(scorers, texts):
    alone = [scores_of(scorers, [text]) for text in texts]
    for name, scores in scores_of(scorers, texts).items():
        np.testing.assert_array_equal(scores, [one[name][0] for one in alone], err_msg=name)


def test_a_score_does_not_depend_on_batches(scorers, language, monkeypatch):
    expected = scores_of(scorers, LADDERS[language])
    monkeypatch.setattr("tokenformer.complexity.text.documents.BATCH_CHARACTERS", 150)
    for name, scorer in scorers.items():
        np.testing.assert_array_equal(scorer(LADDERS[language]), expected[name], err_msg=name)


@settings(max_examples=60)
@given(text=mostly_words)
def test_not_changed_by_doubling_a_text(scorers, language, text):
    if language in ARTIFICIAL:
        # Brackets and quotation marks that are left open reach into the copy; ’ is the apostrophe ' once normalised.
        text = "".join(character for character in text if character not in "(){}\"'’")
    for name, (once, twice) in scores_of(scorers, [text, f"{text}\n\n{text}"]).items():
        if name not in CHANGED_BY_DOUBLING:
            assert twice == pytest.approx(once, rel=1e-9, abs=1e-12), name


def test_changed_little_by_doubling_a_long_text(scorers, language):
    """Within the tolerances of the docstrings; those of MATTR and MTLD are in test_diversity.py."""
    if language in ARTIFICIAL:
        pytest.skip("the texts of 300 words are English and Swedish")
    text = " ".join(LADDERS[language])
    spread = {"regressor": 0.5, "ensemble": 0.1, "surprisal": 250 / (2 * len(text.split()))}
    for name, (once, twice) in scores_of(scorers, [text, f"{text}\n\n{text}"]).items():
        if name in spread:
            assert abs(twice - once) < spread[name], name
        elif name == "compression":
            assert twice == pytest.approx(once, rel=0.1), name


def test_ladders_are_climbed(scorers, language):
    for name, scores in scores_of(scorers, LADDERS[language]).items():
        if language not in ARTIFICIAL or NATURAL not in MEASURES[name].languages:
            assert (np.diff(scores) > 0).all(), (name, scores)


def test_a_measure_refuses_other_languages_and_names_the_alternatives():
    with pytest.raises(UserError, match=r"'flesch_kincaid' does not hold for language 'sv'.*surprisal, lix"):
        MEASURES["flesch_kincaid"](["En katt."], "sv")
    with pytest.raises(UserError, match=r"'lix'.*'fi' \(only for en, sv\).*do: ensemble, surprisal"):
        MEASURES["lix"].fit([], "fi")
    with pytest.raises(UserError, match=r"'mattr'.*'code' \(only for natural\).*nesting_depth"):
        MEASURES["mattr"].fit([], "code")


def test_measures_without_parameters_refuse_any():
    with pytest.raises(UserError, match="measure 'lix': the key share is not known; there are none here"):
        MEASURES["lix"].fit([], "en", share=0.5)


def test_a_single_string_is_not_taken_for_a_list():
    with pytest.raises(UserError, match="single string"):
        MEASURES["lix"]("A cat.", "en")
