"""Which documents are left to read, against definitions document by document."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.cases import cases
from tokenformer.curriculum import SELECTIONS
from tokenformer.curriculum.copies import DocumentTable
from tokenformer.curriculum.selections import selected
from tokenformer.errors import UserError


@st.composite
def corpora(draw) -> DocumentTable:
    size = draw(st.integers(2, 40))
    tokens = np.array(draw(st.lists(st.integers(1, 50), min_size=size, max_size=size)))
    return DocumentTable(
        tokens=tokens,
        words=np.array([draw(st.integers(1, count)) for count in tokens.tolist()]),
        complexity=np.array(draw(st.permutations(range(size))), dtype=float),
        source=np.arange(size) % 2,
        source_names=("a", "b"),
    )


def kept(documents: DocumentTable, *sections: dict, seed: int = 0) -> np.ndarray:
    return selected(documents, np.ones(documents.size), sections, seed) > 0


@given(corpora(), st.integers(-1, 20), st.integers(1, 20))
def test_a_window_in_units_keeps_what_is_inside(documents, low, width):
    inside = (documents.complexity >= low) & (documents.complexity <= low + width)
    section = {"name": "complexity_window", "thresholds": [low, low + width]}
    if inside.any():
        np.testing.assert_array_equal(kept(documents, section), inside)
    else:
        with pytest.raises(UserError, match="leaves no document"):
            kept(documents, section)


@given(corpora(), st.floats(0, 0.45), st.floats(0, 0.45))
def test_pruning_drops_no_more_than_its_shares_of_the_text(documents, head, tail):
    if head + tail == 0:
        return
    try:
        keep = kept(documents, {"name": "prune", "head": head, "tail": tail})
    except UserError:  # one document may be more than what is to stay
        return
    total, largest = documents.tokens.sum(), documents.tokens.max()
    level = documents.complexity
    easy, hard = ~keep & (level < level[keep].min()), ~keep & (level > level[keep].max())
    assert (easy | hard | keep).all()
    assert head * total - largest <= documents.tokens[easy].sum() <= head * total + 1e-6
    assert tail * total - 1e-6 <= documents.tokens[hard].sum() <= tail * total + largest


def test_pruning_by_source_takes_its_share_of_each():
    generator = np.random.default_rng(0)
    source = np.repeat([0, 1], 1000)
    documents = DocumentTable(
        np.full(2000, 10), np.full(2000, 8), generator.normal(source * 100.0, 1), source, ("easy", "hard")
    )
    section = {"name": "prune", "tail": 0.4}
    assert kept(documents, section)[source == 0].all()
    per_source = kept(documents, section | {"by_source": True})
    assert [per_source[source == number].mean() for number in (0, 1)] == pytest.approx([0.6, 0.6])


@given(corpora(), st.integers(0, 3), st.data())
def test_bins_keep_as_many_words_as_fit(documents, seed, data):
    edges = [documents.size / 3, 2 * documents.size / 3]
    bins = np.searchsorted(edges, documents.complexity)
    there = np.bincount(bins, documents.words, minlength=3)
    words = [data.draw(st.none() | st.integers(1, int(count))) if count else data.draw(st.none()) for count in there]
    section = {"name": "word_bins", "words": words, "thresholds": edges}
    try:
        keep = kept(documents, section, seed=seed)
    except UserError as error:
        assert "leaves no document" in str(error)
        return
    for number, asked in enumerate(words):
        got = documents.words[keep & (bins == number)].sum()
        if asked is None:
            assert got == there[number]
        else:
            assert asked - documents.words.max() < got <= asked
    np.testing.assert_array_equal(keep, kept(documents, section, seed=seed))


def test_selections_follow_one_another_and_weights_stay():
    documents = DocumentTable(np.full(10, 5), np.full(10, 4), np.arange(10.0), np.zeros(10, np.int64))
    sections = [
        {"name": "complexity_window", "thresholds": [2, None]},
        {"name": "complexity_window", "percentiles": [None, 50]},  # of the eight that are left
    ]
    weight = selected(documents, np.full(10, 1.5), sections, seed=0)
    np.testing.assert_array_equal(weight, [0, 0, 1.5, 1.5, 1.5, 1.5, 0, 0, 0, 0])


@cases(
    ({"name": "best"}, "one of complexity_window, prune, word_bins"),
    ("prune", "selection must be a section with keys, not 'prune'"),
    ({"name": "prune"}, "head and tail must together be above 0 and below 1"),
    ({"name": "prune", "tial": 0.1}, "the key tial is not known; did you mean tail"),
    ({"name": "prune", "tail": -0.1}, "tail is -0.1; it must be 0 or more"),
    ({"name": "complexity_window"}, "give either thresholds or percentiles"),
    ({"name": "complexity_window", "thresholds": [1, 2, 3]}, "a lower and an upper end"),
    ({"name": "complexity_window", "thresholds": [5, 2]}, "thresholds must rise"),
    (
        {"name": "complexity_window", "percentiles": [0, 101]},
        r"percentiles is \[0.0, 101.0\]; it must be 0 or more and at most 100",
    ),
    ({"name": "word_bins"}, "words must be a list with a number"),
    ({"name": "word_bins", "words": ["many"]}, "must be a number of words"),
    ({"name": "word_bins", "words": [1, 2], "percentiles": [10, 20]}, "2 edges make 3 bins, and words has 2"),
    ({"name": "word_bins", "words": [None, "1M"]}, "bin 2 has 8 words, and 1,000,000 are asked of it"),
)
def test_wrong_selections_are_refused(section, message):
    documents = DocumentTable(np.full(4, 5), np.full(4, 4), np.arange(4.0), np.zeros(4, np.int64))
    with pytest.raises(UserError, match=message):
        kept(documents, section)


def test_the_registry_names_its_entries():
    assert {name: selection.name for name, selection in SELECTIONS.items()} == {name: name for name in SELECTIONS}
