import gzip
import json
from collections import defaultdict

import numpy as np
import pytest

from tests.support.cases import cases
from tokenformer.complexity import MEASURES
from tokenformer.complexity.measures.readability import COLEMAN_LIAU, FLESCH_KINCAID, FLESCH_KINCAID_SWEDISH, LIX


@cases(
    ("en", "The cat sat. The dog ran.", 6, 2, 0),
    ("en", "Considerable difficulties: nobody understands grammatical analyses!", 6, 2, 5),
    ("en", "A mother-in-law isn't o'clock... yes?", 5, 2, 1),
    ("sv", "Katten sover. Hunden äter sin välling.", 6, 2, 1),
    ("sv", "Läsbarhetsindex räknas på långa ord: sådana med fler än sex bokstäver.", 11, 2, 2),
    ("sv", "Å! Ö?", 2, 2, 0),
)
def test_lix_by_hand(language, text, words, sentences, long_words):
    expected = words / sentences + 100 * long_words / words
    assert LIX([text], language)[0] == pytest.approx(expected, rel=1e-12)


@cases(
    ("The cat sat. The dog ran.", 6, 2, 6),
    ("Education is important: people understand it; water is not.", 9, 1, 18),
    ("Really? Everyone wanted something else!", 5, 2, 10),
)
def test_flesch_kincaid_by_hand(text, words, sentences, syllables):
    expected = 0.39 * words / sentences + 11.8 * syllables / words - 15.59
    assert FLESCH_KINCAID([text], "en")[0] == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    ("text", "words", "sentences", "syllables"),
    [("Katten satt på mattan. Den sov.", 6, 2, 8), ("Stationen i Europa hade tre pauser.", 6, 1, 12)],
)
def test_swedish_syllables_make_the_same_formula(text, words, sentences, syllables):
    expected = 0.39 * words / sentences + 11.8 * syllables / words - 15.59
    assert FLESCH_KINCAID_SWEDISH([text], "sv")[0] == pytest.approx(expected, rel=1e-12)


def test_coleman_liau_by_hand():
    """Five words, 18 letters and digits, two sentences."""
    expected = 0.0588 * 18 / 5 * 100 - 0.296 * 2 / 5 * 100 - 15.8
    assert COLEMAN_LIAU(["It's 1914: war. Who knows?"], "en")[0] == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(("measure", "language"), [(LIX, "sv"), (FLESCH_KINCAID, "en"), (COLEMAN_LIAU, "en")])
def test_blank_texts_are_as_easy_as_can_be(measure, language):
    assert len(set(measure(["", " \n", "a", "A."], language))) == 1


LEVELS = ("ele", "adv")


@pytest.mark.parametrize("measure", ["lix", "flesch_kincaid", "coleman_liau"])
def test_onestop_articles_are_ordered(shared_data, measure):
    articles = defaultdict(dict)
    with gzip.open(shared_data / "readability" / "onestop.jsonl.gz", "rt", encoding="utf-8") as lines:
        for row in map(json.loads, lines):
            articles[row["id"]][row["level"]] = row["text"]
    elementary, advanced = (MEASURES[measure]([texts[level] for texts in articles.values()], "en") for level in LEVELS)
    assert len(articles) > 100
    assert np.mean(elementary < advanced) >= 0.95


def test_swedish_domains_are_ordered_by_lix(shared_data):
    domains = ["01_barnberattelser", "03_berattelser", "08_talbanken_modern"]
    texts = [(shared_data / "sv" / "dev" / f"{name}.txt").read_text(encoding="utf-8") for name in domains]
    children, stories, news = LIX(texts, "sv")
    assert children < stories < news
