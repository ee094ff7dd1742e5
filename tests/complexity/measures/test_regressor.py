import json
import sys

import numpy as np
import pytest

from scripts.rebuild_reference import REGRESSORS
from tokenformer.complexity import MEASURES, score
from tokenformer.complexity.measures.regressor import FEATURES, MOST_DEVIATIONS, Regressor, built_in_regressor
from tokenformer.complexity.text.documents import analysed
from tokenformer.complexity.text.reference import REFERENCE_FOLDER
from tokenformer.errors import MissingExtraError, UserError

WORDS = ["a", "bb", "ccc", "dddd", "eeeee", "ffffff", "ggggggg", "hhhhhhhh"]


def graded_texts() -> tuple[list[str], np.ndarray]:
    """Hard in proportion to the length of words and to the logarithm of that of sentences."""
    generator = np.random.default_rng(0)
    texts, grades = [], []
    for _ in range(200):
        length, size = generator.integers(1, 9), generator.integers(2, 40)
        texts.append(" ".join([WORDS[length - 1]] * size) + ".")
        grades.append(2 * length + 3 * np.log(size))
    return texts, np.array(grades)


@pytest.fixture(scope="module")
def regressor() -> Regressor:
    pytest.importorskip("sklearn")
    names = ["word_length", "sentence_length"]
    return Regressor.fit(*graded_texts(), "en", "points", "invented", names, penalty=1e-6, words=False, version=3)


def test_a_linear_rule_is_found(regressor):
    texts, grades = graded_texts()
    np.testing.assert_allclose(regressor(analysed(texts)), grades, atol=1e-3)
    assert regressor.weight[0] / regressor.scale[0] == pytest.approx(2, abs=1e-3)
    assert regressor.weight[1] / regressor.scale[1] == pytest.approx(3, abs=1e-3)


def test_contributions_add_up_to_the_prediction(regressor):
    documents = analysed(graded_texts()[0])
    added = regressor.contributions(documents)
    np.testing.assert_allclose(regressor.intercept + added.sum(axis=1), regressor(documents), rtol=1e-12)


def test_the_explanation_names_every_feature_and_its_part(regressor):
    documents = analysed(["ccc ccc ccc."])
    explanation = regressor.explain("ccc ccc ccc.")
    for name, added in zip(regressor.features, regressor.contributions(documents)[0], strict=True):
        assert any(line.startswith(name) and line.endswith(f"{added:+.3f}") for line in explanation.splitlines())
    assert f"{regressor(documents)[0]:+.3f}  points" in explanation


def test_words_have_weights_of_their_own():
    """Sentences that differ in nothing but one word, which alone says how hard they are."""
    pytest.importorskip("sklearn")
    texts = [f"the {word} sat here {number}" for number in range(40) for word in ("cat", "yak")]
    fitted = Regressor.fit(texts, [0.0, 1.0] * 40, "en", "points", "invented", ["sentence_length"], word_penalty=0.01)
    assert set(fitted.word_weight) == {"the", "cat", "yak", "sat", "here"}
    np.testing.assert_allclose(fitted(analysed(texts[:2])), [0, 1], atol=0.02)
    doubled = [f"{text}\n\n{text}" for text in texts[:2]]
    np.testing.assert_allclose(
        fitted.word_contributions(analysed(doubled)), fitted.word_contributions(analysed(texts[:2]))
    )
    explanation = fitted.explain("the yak").splitlines()
    assert any(line.startswith("words yak") for line in explanation)
    np.testing.assert_allclose(fitted.word_contributions(analysed(["zebra", ""])), 0)


def test_nothing_is_extrapolated(regressor):
    farthest = regressor.intercept + MOST_DEVIATIONS * np.sum(regressor.weight)
    assert regressor(analysed(["m" * 10_000 + " x" * 100_000]))[0] <= farthest


def test_no_feature_makes_a_text_easier_unless_it_may(regressor):
    pytest.importorskip("sklearn")
    texts, grades = graded_texts()
    names = ["word_length", "sentence_length"]
    without_words = {"words": False}
    assert min(Regressor.fit(texts, -grades, "en", "points", "invented", names, **without_words).weight) == 0
    assert max(Regressor.fit(texts, -grades, "en", "points", "invented", names, False, **without_words).weight) < 0


def test_what_is_saved_is_opened_again_and_used(regressor, tmp_path):
    path = tmp_path / "mine.json"
    path.write_text(regressor.to_json(), encoding="utf-8")
    assert Regressor.open(path) == regressor and regressor.version == 3
    texts = ["ccc ccc.", "a a a."]
    np.testing.assert_array_equal(score(texts, "en", "regressor", file=str(path)), regressor(analysed(texts)))


def test_wrong_files_are_refused(regressor, tmp_path):
    path = tmp_path / "mine.json"
    with pytest.raises(UserError, match="is not a saved regressor"):
        score(["a"], "en", "regressor", file=str(path))
    for content in ("no json", "[1]", '{"format": "tokenformer regressor"}', "{}"):
        path.write_text(content, encoding="utf-8")
        with pytest.raises(UserError, match="is not a saved regressor"):
            Regressor.open(path)
    path.write_text(regressor.to_json().replace('"format_version": 1', '"format_version": 9'), encoding="utf-8")
    with pytest.raises(UserError, match="format version 1"):
        Regressor.open(path)
    path.write_text(regressor.to_json(), encoding="utf-8")
    with pytest.raises(UserError, match="for language 'en', not 'sv'"):
        score(["a"], "sv", "regressor", file=str(path))


def test_the_extra_is_named_when_it_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.linear_model", None)
    with pytest.raises(MissingExtraError, match=r"Fitting a regressor needs.*scikit-learn.*\[curriculum\]"):
        Regressor.fit(["a b", "c"], [0, 1], "en", "points", "invented", ["word_length"])


def test_features_are_every_heuristic_of_the_language():
    for language, names in FEATURES.items():
        simple = [measure for measure in MEASURES.values() if not (measure.is_composite or measure.needs_model)]
        assert set(names) == {measure.name for measure in simple if measure.holds_for(language)}


@pytest.mark.parametrize("language", REGRESSORS)
def test_built_in_regressors_state_their_origin(language):
    content = json.loads((REFERENCE_FOLDER / f"regressor_{language}.json").read_text(encoding="utf-8"))
    assert content["version"] >= 1 and content["unit"]
    assert "public domain" in content["trained_on"] or "CC BY" in content["trained_on"]
    assert min(content["weight"]) >= 0


@pytest.mark.parametrize("language", REGRESSORS)
def test_built_in_regressors_are_what_their_texts_give(shared_data, language):
    pytest.importorskip("wordfreq")
    pytest.importorskip("sklearn")
    again, stated = REGRESSORS[language](shared_data), built_in_regressor(language)
    assert again.features == stated.features
    np.testing.assert_allclose(again.weight, stated.weight, rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(again.mean, stated.mean, rtol=1e-3, atol=1e-4)
    assert list(again.word_weight) == list(stated.word_weight) and len(stated.word_weight) > 1000
    np.testing.assert_allclose([*again.word_weight.values()], [*stated.word_weight.values()], rtol=0.02, atol=2e-3)
