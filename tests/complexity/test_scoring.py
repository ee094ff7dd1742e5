import subprocess
import sys

import numpy as np
import pytest

from tests.support.cases import cases
from tokenformer.complexity import MEASURES, score
from tokenformer.errors import UserError

TRAIN = ["the cat sat", "a cat and a dog", "the dog sat on the cat", "unprecedented circumstances necessitate prudence"]
VALIDATION = ["a dog sat", "prudence sat"]


@cases(
    ("lix", {}),
    ("flesch_kincaid", {}),
    ("surprisal", {}),
    ("surprisal", {"reference": "corpus"}),
    ("surprisal", {"reference": "corpus", "share": 1.0}),
)
def test_validation_texts_do_not_touch_the_fit(measure, parameters):
    scorer = MEASURES[measure].fit(TRAIN, "en", **parameters)
    train, validation = scorer(TRAIN), scorer(VALIDATION)
    assert train.shape == (4,) and validation.shape == (2,)
    np.testing.assert_array_equal(scorer(TRAIN), train)
    np.testing.assert_array_equal(MEASURES[measure].fit(TRAIN, "en", **parameters)(VALIDATION), validation)


def test_the_default_measure_is_the_ensemble():
    np.testing.assert_array_equal(score(TRAIN), MEASURES["ensemble"](TRAIN, "en"))
    np.testing.assert_array_equal(score(TRAIN, language="en", measure="lix"), MEASURES["lix"](TRAIN, "en"))


def test_a_generator_of_texts_is_taken():
    np.testing.assert_array_equal(score(text for text in TRAIN), score(TRAIN))
    np.testing.assert_array_equal(score((text for text in TRAIN), "fi"), score(TRAIN, "fi"))


def test_scores_in_english_and_swedish_are_of_each_text_alone():
    for language in ("en", "sv"):
        np.testing.assert_array_equal(score(TRAIN, language)[:1], score(TRAIN[:1], language))
    assert score(TRAIN, "fi")[0] != score(TRAIN[:1], "fi")[0]


def test_parameters_reach_the_measure():
    known = score(VALIDATION, "en", "surprisal", reference_texts=["a dog sat down"])
    unknown = score(VALIDATION, "en", "surprisal", reference_texts=["xyz"])
    assert known[0] < unknown[0]


@pytest.mark.parametrize("language", ["en", "sv", "fi", "code", "formal"])
def test_no_texts_have_no_scores(language):
    assert score([], language).shape == (0,)
    assert score([], language, "surprisal").shape == (0,)


def test_unknown_measures_are_named_with_the_choice():
    with pytest.raises(UserError, match="no measure 'fog'; choose one of ensemble, regressor, surprisal"):
        score(TRAIN, "en", "fog")


def test_importing_the_curriculum_is_light():
    heavy = "torch nanotron transformers datatrove pyarrow pandas matplotlib scipy"
    code = f"import sys, tokenformer.curriculum.plan; print([m for m in '{heavy}'.split() if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"
