import json

import numpy as np
import pytest

from scripts.rebuild_reference import NORM_FILES, norms
from tests.support.cases import refused
from tests.support.ladders import LADDERS
from tokenformer.complexity import MEASURES, score
from tokenformer.complexity.measures.ensemble import ENSEMBLE, NORMS_FILE

SWEDISH_LIKE = LADDERS["sv"]


def test_it_is_the_mean_of_standardised_measures():
    """Two passages with the means and standard deviations that the package states."""
    norms = json.loads(NORMS_FILE.read_text(encoding="utf-8"))["norms"]["en"]
    texts = LADDERS["en"]
    columns = [MEASURES["surprisal"](texts, "en"), np.log(MEASURES["sentence_length"](texts, "en"))]
    pairs = zip(columns, (norms["surprisal"], norms["sentence_length"]), strict=True)
    expected = np.mean([(column - mean) / scale for column, (mean, scale) in pairs], axis=0)
    np.testing.assert_allclose(ENSEMBLE(texts, "en"), expected, rtol=1e-12)


def test_it_is_the_default_for_languages_that_people_speak():
    np.testing.assert_array_equal(score(LADDERS["en"]), ENSEMBLE(LADDERS["en"], "en"))
    np.testing.assert_array_equal(score(SWEDISH_LIKE, "fi"), ENSEMBLE(SWEDISH_LIKE, "fi"))


def test_other_languages_are_standardised_by_the_texts_themselves():
    scores = ENSEMBLE.fit(SWEDISH_LIKE, "fi", measures=["word_length"])(SWEDISH_LIKE)
    assert scores.mean() == pytest.approx(0, abs=1e-12) and scores.std() == pytest.approx(1)
    assert ENSEMBLE.fit([], "fi", measures=["word_length"])(["abc"]).tolist() == [3]
    same = ENSEMBLE.fit(["a b", "c d"], "fi", measures=["word_length"])(["a b", "abc"])
    assert same.tolist() == [0, 2]


def test_members_are_chosen():
    one = ENSEMBLE.fit([], "en", measures=["lix"])(LADDERS["en"])
    assert np.corrcoef(one, MEASURES["lix"](LADDERS["en"], "en"))[0, 1] == pytest.approx(1)


@refused(
    ([], "must be a list of names"),
    ("lix", "measures must be a list"),
    (["lix", "fog"], "'fog' is not among the measures.*surprisal, lix"),
    (["ensemble"], "'ensemble' is not among"),
    (["flesch_kincaid_swedish"], "does not hold for language 'en'"),
)
def test_members_that_cannot_be_are_refused(measures):
    ENSEMBLE.fit([], "en", measures=measures)


def test_the_norms_are_what_their_texts_give(shared_data):
    pytest.importorskip("wordfreq")
    stated = json.loads(NORMS_FILE.read_text(encoding="utf-8"))["norms"]
    for language in NORM_FILES:
        for name, pair in norms(language, shared_data).items():
            assert stated[language][name] == pytest.approx(pair, rel=1e-4), (language, name)
