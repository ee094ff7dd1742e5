"""What holds for every measure in the registry."""

import pickle
import unicodedata

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tokenformer.curriculum import MEASURES
from tokenformer.errors import UserError

any_text = st.text(st.characters(exclude_categories=()))
mostly_words = st.text(st.sampled_from("aeåäöÅé dTt \n.!?:'’-0🙂\u0301"), max_size=60)

TRAINING_TEXTS = [
    "The cat sat on the mat. It was a good cat. The dog ran to the cat.",
    "We see the sun. The sun is up. I can see you and you can see me.",
    "She has a red ball. The ball is big. He has a hat. My hat is red.",
    "Katten satt på mattan. Det var en fin katt. Hunden sprang till katten.",
    "Vi ser solen. Solen är uppe. Jag kan se dig och du kan se mig.",
]

LADDERS = {
    "en": [
        "The cat sat. I see the cat. You see the dog. It is big.",
        "The dog ran to the big red ball and the cat ran to the hat. We can see you.",
        "Yesterday the children walked slowly through the forest, and they found a small river near the hill.",
        "After several unsuccessful attempts, the engineers finally repaired the damaged bridge, which reconnected "
        "the isolated village with neighbouring communities.",
        "Notwithstanding considerable methodological disagreements, contemporary epistemologists predominantly "
        "acknowledge that propositional justification presupposes antecedent evidential considerations irreducible "
        "to psychological dispositions.",
    ],
    "sv": [
        "Katten satt. Jag ser dig. Solen är uppe. Vi ser en katt.",
        "Hunden sprang till den fina katten på mattan och du kan se dem. Det var en dag.",
        "Igår gick barnen sakta genom skogen, och de hittade en liten bäck nära berget bakom gården.",
        "Efter flera misslyckade försök reparerade ingenjörerna slutligen den skadade bron, som återförenade den "
        "avskilda byn med närliggande samhällen.",
        "Oaktat avsevärda metodologiska meningsskiljaktigheter erkänner samtida kunskapsteoretiker företrädesvis att "
        "satsmässigt rättfärdigande förutsätter föregående evidensmässiga överväganden, oförenliga med psykologiska "
        "benägenheter.",
    ],
}

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
    "." * 1_000_000 + "x",
    "a" * 1_000_000,
    "'" * 1_000_000,
    "a'" * 500_000,
    ". ' " * 250_000,
    "e" * 1_000_000 + "ful",
    "\n" + " " * 1_000_000 + "x",
    "ord och fler ord " * 60_000,
]


@pytest.fixture(scope="module", params=sorted(MEASURES))
def scorer(request):
    return MEASURES[request.param].fit(TRAINING_TEXTS, "en")


def test_registry_names_and_facts():
    for name, measure in MEASURES.items():
        assert measure.name == name
        assert measure.unit and measure.source and measure.cost


@given(any_text | mostly_words)
def test_finite_and_equal_for_equivalent_texts(scorer, text):
    scores = scorer([text, unicodedata.normalize("NFC", text), unicodedata.normalize("NFD", text)])
    assert scores.dtype == np.float64
    assert np.isfinite(scores).all()
    assert scores[0] == scores[1] == scores[2]


def test_scorers_can_be_sent_to_other_processes(scorer):
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(scorer))(TRAINING_TEXTS), scorer(TRAINING_TEXTS))


def test_finite_for_awkward_texts(scorer):
    assert np.isfinite(scorer(AWKWARD_TEXTS)).all()


@settings(max_examples=50)
@given(st.lists(mostly_words, max_size=6))
def test_a_score_depends_on_its_text_alone(scorer, texts):
    np.testing.assert_array_equal(scorer(texts), [scorer([text])[0] for text in texts])


@pytest.mark.parametrize("name", ["lix", "flesch_kincaid"])
@given(text=any_text | mostly_words)
def test_formulas_do_not_change_when_a_text_is_doubled(name, text):
    once, twice = MEASURES[name]([text, f"{text}\n\n{text}"], "en")
    assert twice == pytest.approx(once, rel=1e-12)


@given(st.lists(mostly_words, min_size=30, max_size=40))
def test_surprisal_changes_by_one_word_when_a_text_is_doubled(lines):
    text = " word ".join(lines)
    scorer = MEASURES["surprisal"].fit(TRAINING_TEXTS, "en")
    once, twice = scorer([text, f"{text}\n\n{text}"])
    dearest_word = 250
    assert abs(once - twice) <= dearest_word / (2 * 29)


@pytest.mark.parametrize(
    ("name", "language"),
    [(name, language) for name, measure in MEASURES.items() for language in LADDERS if measure.holds_for(language)],
)
def test_ladders_are_climbed(name, language):
    scores = MEASURES[name].fit(TRAINING_TEXTS, language)(LADDERS[language])
    assert (np.diff(scores) > 0).all(), scores


def test_a_measure_refuses_other_languages_and_names_the_alternatives():
    with pytest.raises(UserError, match=r"'flesch_kincaid' does not hold for language 'sv'.*lix, surprisal"):
        MEASURES["flesch_kincaid"](["En katt."], "sv")
    with pytest.raises(UserError, match=r"'lix'.*'fi'.*do: surprisal$"):
        MEASURES["lix"].fit([], "fi")


def test_measures_without_parameters_refuse_any():
    with pytest.raises(UserError, match="measure 'lix' has no parameter 'share'; it takes none"):
        MEASURES["lix"].fit([], "en", share=0.5)


def test_a_single_string_is_not_taken_for_a_list():
    with pytest.raises(UserError, match="single string"):
        MEASURES["lix"]("A cat.", "en")
