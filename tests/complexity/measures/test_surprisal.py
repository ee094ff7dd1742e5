import gzip
import importlib.util
import json
import re
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest

from tests.support.cases import refused
from tokenformer.complexity.measures.surprisal import SURPRISAL, simplest_texts
from tokenformer.complexity.text.bigram import numbered_words
from tokenformer.complexity.text.documents import analysed
from tokenformer.errors import UserError

SIMPLE = ["the cat is on the mat", "the dog is on the mat", "a cat and a dog", "the cat and the dog", "a dog is a dog"]
HARD = ["notwithstanding prior remonstrances", "epistemological quandaries proliferate", "obfuscation begets acrimony"]


def test_the_simplest_texts_keep_to_the_core_vocabulary():
    assert set(simplest_texts(HARD + SIMPLE, share=0.5, core=0.7)) < set(SIMPLE)


def test_the_simplest_texts_hold_their_share_of_the_words():
    texts = [f"word number {index} stands here" for index in range(100)]
    assert len(simplest_texts(texts, share=0.3, core=0.9)) == 30
    assert sorted(simplest_texts(texts, share=1.0, core=0.9)) == sorted(texts)


def test_long_sentences_do_not_make_a_text_hard():
    long_sentence = " and ".join(SIMPLE)
    assert long_sentence in simplest_texts([*HARD, *SIMPLE, long_sentence], share=0.8, core=0.7)


def test_a_reference_document_is_scored_as_if_it_were_new():
    text = SIMPLE[0]
    member = SURPRISAL.fit([], "en", reference_texts=SIMPLE)
    without = SURPRISAL.fit([], "en", reference_texts=SIMPLE[1:] + ["mat"])
    with_mat = SURPRISAL.fit([], "en", reference_texts=SIMPLE + ["mat"])
    assert with_mat([text]) == pytest.approx(without([text]), rel=1e-12)
    assert member([text])[0] > member([text + " ."])[0]


def test_copies_of_a_text_count_once():
    probe = ["a cat sat on the dog", *HARD, *SIMPLE]
    once = SURPRISAL.fit([], "en", reference_texts=SIMPLE)(probe)
    repeated = SURPRISAL.fit([], "en", reference_texts=SIMPLE * 3)(probe)
    np.testing.assert_array_equal(once, repeated)


def test_only_the_first_word_of_a_repeated_text_sees_the_repetition():
    model = SURPRISAL.fit([], "en", reference_texts=SIMPLE).function.model
    text = "A dog and a notwithstanding cat."
    once = model.surprisal(model.read(analysed([text])), np.zeros(1, bool))
    twice = model.surprisal(model.read(analysed([f"{text}\n\n{text}"])), np.zeros(1, bool))
    np.testing.assert_array_equal(twice[: once.size], once)
    np.testing.assert_array_equal(twice[once.size + 1 :], once[1:])


def test_the_score_is_the_mean_over_words_and_zero_without_words():
    scorer = SURPRISAL.fit([], "sv", reference_texts=SIMPLE)
    model = scorer.function.model
    text = "A cat, quite a cat."
    assert scorer([text, " \n"]) == pytest.approx(
        [model.surprisal(model.read(analysed([text])), np.zeros(1, bool)).mean(), 0], rel=1e-12
    )


def test_order_and_batches_of_the_training_texts_do_not_matter(monkeypatch):
    texts = [*HARD, *SIMPLE, "mat and dog"]
    scores = SURPRISAL.fit(texts, "en", reference="corpus")(texts)
    monkeypatch.setattr("tokenformer.complexity.text.documents.BATCH_CHARACTERS", 30)
    backwards = SURPRISAL.fit(texts[::-1], "en", reference="corpus")(texts[::-1])[::-1]
    np.testing.assert_allclose(backwards, scores, rtol=1e-12)


@refused(
    ({"share": 0}, "share is 0.0; it must be above 0 and at most 1"),
    ({"share": "half"}, "share is 'half'; it must be of type float"),
    ({"core": 1.5}, "core is 1.5; it must be above 0 and at most 1"),
    ({"reference_texts": "one text"}, "reference_texts must be a list"),
    ({"reference": "bible"}, "reference is 'bible'; choose one of built_in, corpus"),
    ({"reference": "corpus", "reference_texts": SIMPLE}, "not both"),
    ({"shar": 0.1}, "did you mean share"),
)
def test_wrong_parameters_are_refused(parameters):
    SURPRISAL.fit(SIMPLE, "en", **parameters)


def test_there_is_no_built_in_reference_for_every_language():
    with pytest.raises(UserError, match="no simple text for language 'fi'; set reference to corpus"):
        SURPRISAL.fit(SIMPLE, "fi", reference="built_in")
    np.testing.assert_array_equal(SURPRISAL(SIMPLE, "fi"), SURPRISAL.fit(SIMPLE, "fi", reference="corpus")(SIMPLE))


@pytest.fixture(scope="module", params=["built-in", "child"])
def scorer(request, shared_data):
    if request.param == "built-in":
        return SURPRISAL.fit([], "en")
    names = ["01_childes", "02_storybooks", "03_readers_grade1-2"]
    texts = [(shared_data / "en" / "train" / f"{name}.txt").read_text(encoding="utf-8") for name in names]
    return SURPRISAL.fit([], "en", reference_texts=texts)


def read_rows(path: Path) -> list[dict]:
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def test_onestop_articles_are_ordered(shared_data, scorer):
    articles = defaultdict(dict)
    for row in read_rows(shared_data / "readability" / "onestop.jsonl.gz"):
        articles[row["id"]][row["level"]] = row["text"]
    elementary = scorer([texts["ele"] for texts in articles.values()])
    advanced = scorer([texts["adv"] for texts in articles.values()])
    assert np.mean(elementary < advanced) >= 0.97


def test_agrees_with_what_teachers_find_easy(shared_data, scorer):
    rows = read_rows(shared_data / "readability" / "clear.jsonl.gz")
    scores = scorer([row["excerpt"] for row in rows])
    easiness = np.array([row["bt_easiness"] for row in rows])
    ranks = [np.argsort(np.argsort(values)) for values in (scores, easiness)]
    assert np.corrcoef(*ranks)[0, 1] <= -0.61


def bible_documents(version: str) -> list[str]:
    """Every fourth stretch of 150 words of an installed Bible."""
    spec = importlib.util.find_spec(f"pythonbible_{version}")
    if spec is None:
        pytest.skip(f"pythonbible-{version} is not installed")
    source = Path(spec.origin).with_name("plain_text_readers_bible.py").read_text(encoding="utf-8")
    words = re.search(r'"""(.*?)"""', source, re.DOTALL).group(1).split()
    return [" ".join(words[start : start + 150]) for start in range(0, len(words), 600)]


@pytest.mark.parametrize("reference", ["built_in", "corpus"])
def test_bibles_of_three_difficulties_are_ordered_without_being_told(reference):
    versions = [bible_documents(version) for version in ("bbe", "web", "kjv")]
    scores = SURPRISAL.fit(sum(versions, []), "en", reference=reference)(sum(versions, []))
    bounds = np.cumsum([len(documents) for documents in versions])[:-1]
    basic, modern, archaic = (part.mean() for part in np.split(scores, bounds))
    assert basic + 1 < modern < archaic - 0.5


def test_membership_in_the_reference_does_not_make_a_document_easy(shared_data):
    """Halves of one homogeneous text, one inside and one outside the reference, score alike."""
    text = (shared_data / "en" / "dev" / "05_children_books.txt").read_text(encoding="utf-8").split()
    documents = [" ".join(text[start : start + 150]) for start in range(0, len(text) - 150, 150)]
    generator = np.random.default_rng(0)
    inside = generator.random(len(documents)) < 0.5
    scorer = SURPRISAL.fit([], "en", reference_texts=[documents[index] for index in np.flatnonzero(inside)])
    scores = scorer(documents)
    standard_error = scores.std() * np.sqrt(1 / inside.sum() + 1 / (~inside).sum())
    assert abs(scores[inside].mean() - scores[~inside].mean()) < 3 * standard_error
    model = scorer.function.model
    naive = model.surprisal(model.read(analysed(documents)), np.zeros(len(documents), bool))
    _, stream = numbered_words(documents)
    naive_means = np.bincount(stream.document, naive) / np.bincount(stream.document)
    assert naive_means[inside].mean() < naive_means[~inside].mean() - 10 * standard_error
