"""What each ordering promises, on drawn corpora of several sources and epochs."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.cases import refused
from tokenformer.config.building import build_named
from tokenformer.curriculum.copies import Copies, DocumentTable
from tokenformer.curriculum.orderings import ORDERINGS
from tokenformer.errors import UserError

NAMES = ("novels", "speech", "wiki")


@st.composite
def copies_of_epochs(draw, different: bool = False) -> Copies:
    """1 to 3 whole epochs of 1 to 25 documents of three sources; `different` complexities or some equal ones."""
    size = draw(st.integers(1, 25))
    complexity = np.array(draw(st.lists(st.integers(0, 9), min_size=size, max_size=size)), dtype=float)
    if different:
        complexity = np.array(draw(st.permutations(range(size))), dtype=float)
    documents = DocumentTable(
        tokens=np.array(draw(st.lists(st.integers(1, 40), min_size=size, max_size=size))),
        words=np.ones(size, np.int64),
        complexity=complexity,
        source=np.array(draw(st.lists(st.integers(0, 2), min_size=size, max_size=size))),
        source_names=NAMES,
    )
    epochs = draw(st.integers(1, 3))
    return Copies.of(documents, np.tile(np.arange(size), epochs), np.repeat(np.arange(epochs), size))


def ordered(copies: Copies, name: str, seed: int = 0, **parameters) -> Copies:
    order = build_named({"name": name, **parameters}, ORDERINGS).order(copies, np.random.default_rng(seed))
    assert sorted(order) == list(range(copies.size))
    return copies.part(order)


@pytest.mark.parametrize("name", ["random", "easy_to_hard", "hard_to_easy", "interleaved", "by_domain", "warm_up"])
@given(copies=copies_of_epochs())
def test_every_epoch_is_read_whole_before_the_next(name, copies):
    result = ordered(copies, name)
    assert (np.diff(result.epoch) >= 0).all()
    for epoch in range(copies.epoch.max() + 1):
        once = np.sort(result.document[result.epoch == epoch])
        np.testing.assert_array_equal(once, np.arange(copies.document.max() + 1))


@given(copies_of_epochs())
def test_hard_to_easy_is_easy_to_hard_reversed(copies):
    easy, hard = ordered(copies, "easy_to_hard"), ordered(copies, "hard_to_easy")
    for epoch in range(copies.epoch.max() + 1):
        np.testing.assert_array_equal(hard.complexity[hard.epoch == epoch], easy.complexity[easy.epoch == epoch][::-1])


@given(copies_of_epochs(), st.integers(1, 6), st.integers(0, 2))
def test_interleaved_climbs_once_a_cycle_over_the_whole_range(copies, cycles, seed):
    result = ordered(copies, "interleaved", seed, cycles=cycles)
    for epoch in range(copies.epoch.max() + 1):
        complexity = result.complexity[result.epoch == epoch]
        assert (np.diff(complexity) < 0).sum() <= cycles - 1
        # Every cycle has one of each `cycles` neighbours in rank: so it starts among the easiest and ends as hard.
        ranked = np.sort(complexity)
        falls = np.flatnonzero(np.diff(complexity) < 0) + 1
        for climb in np.split(complexity, falls):
            assert climb[0] <= ranked[min(cycles, ranked.size) - 1] or cycles > ranked.size


def test_the_cycles_of_an_epoch_have_one_text_of_every_difficulty():
    documents = DocumentTable(*(np.ones(12, np.int64) for _ in range(2)), np.arange(12.0), np.zeros(12, np.int64))
    copies = Copies.of(documents, np.arange(12), np.zeros(12, np.int64))
    for seed in range(5):
        levels = ordered(copies, "interleaved", seed, cycles=3).complexity.reshape(3, 4) // 3
        np.testing.assert_array_equal(levels, np.tile(np.arange(4), (3, 1)))


@given(copies_of_epochs(different=True), st.integers(1, 5), st.integers(0, 2))
def test_stages_rise_and_none_comes_again(copies, stages, seed):
    result = ordered(copies, "staged", seed, stages=stages)
    # Level by definition: tokens of the text that is no harder, in parts of all; copies of one document are alike.
    upper = np.array([copies.tokens[copies.complexity <= value].sum() for value in result.complexity])
    lower = np.array([copies.tokens[copies.complexity < value].sum() for value in result.complexity])
    total = copies.tokens.sum()
    level_of_last, level_of_first = (
        np.ceil(np.maximum(part, 1) / total * stages - 1e-9) for part in (upper, lower + 1)
    )
    assert (np.maximum.accumulate(level_of_first) <= level_of_last).all()


def test_revisited_stages_read_easy_text_all_along_and_hard_text_at_the_end():
    documents = DocumentTable(*(np.ones(3000, np.int64) for _ in range(2)), np.arange(3000.0), np.zeros(3000, np.int64))
    copies = Copies.of(documents, np.arange(3000), np.zeros(3000, np.int64))
    level = ordered(copies, "staged", stages=3, revisit=True).complexity // 1000
    # A third of level 0 is read in each stage, half of level 1 in stages 1 and 2, level 2 in the last.
    ends = np.cumsum([1000 / 3, 1000 / 3 + 500, 1000 / 3 + 500 + 1000]).round().astype(int)
    first, second, third = np.split(level, ends[:2])
    shares = [[(part == value).mean() for value in range(3)] for part in (first, second, third)]
    expected = [[1, 0, 0], [0.4, 0.6, 0], [2 / 11, 3 / 11, 6 / 11]]
    np.testing.assert_allclose(shares, expected, atol=0.12)
    assert np.argmax(level == 2) >= 700 and np.argmax(level == 1) >= 280


def test_stages_may_end_at_thresholds_of_the_measure():
    complexity = np.array([3.0, 9.0, 1.0, 5.0, 5.1, 2.0])
    documents = DocumentTable(*(np.ones(6, np.int64) for _ in range(2)), complexity, np.zeros(6, np.int64))
    copies = Copies.of(documents, np.tile(np.arange(6), 2), np.repeat([0, 1], 6))
    result = ordered(copies, "staged", thresholds=[2.5, 5.0])
    np.testing.assert_array_equal(np.searchsorted([2.5, 5.0], result.complexity), np.repeat([0, 1, 2], 4))
    np.testing.assert_array_equal(result.epoch, np.tile(np.repeat([0, 1], 2), 3))


@given(copies_of_epochs(different=True), st.lists(st.floats(0, 1), min_size=1, max_size=3, unique=True))
def test_pacing_in_steps_reads_nothing_before_its_time(copies, at):
    at = sorted(at)
    thresholds = [5.5 * (number + 1) for number in range(len(at))]
    result = ordered(copies, "paced_in_steps", at=at, thresholds=thresholds)
    admitted_at = np.array([0.0, *at])[np.searchsorted(thresholds, result.complexity)] * copies.tokens.sum()
    read = np.cumsum(result.tokens) - result.tokens
    for place in np.flatnonzero(admitted_at > read + 1e-9):
        # Ahead of its time: then nothing that was admitted was left, and it is the easiest of the rest.
        left = result.complexity[place:]
        assert (admitted_at[place:] > read[place] + 1e-9).all() and result.complexity[place] == left.min()


@given(copies_of_epochs(), st.floats(0.01, 1), st.sampled_from(["easy_to_hard", "hard_to_easy", "paced", "random"]))
def test_a_warm_up_orders_the_first_share_and_leaves_the_rest_random(copies, share, inner):
    result = ordered(copies, "warm_up", share=share, ordering={"name": inner})
    plain = ordered(copies, "random")
    length = int(np.searchsorted(np.cumsum(plain.tokens), share * plain.tokens.sum())) + 1
    np.testing.assert_array_equal(result.document[length:], plain.document[length:])
    assert sorted(result.document[:length]) == sorted(plain.document[:length])
    if inner == "easy_to_hard":
        first = result.part(slice(0, length))
        assert (np.diff(first.complexity)[np.diff(first.epoch) == 0] >= 0).all()


@given(copies_of_epochs(), st.permutations(NAMES), st.booleans())
def test_domains_follow_one_another_in_the_given_order(copies, names, is_sorted):
    result = ordered(copies, "by_domain", sources=list(names), sorted=is_sorted)
    place = np.array([names.index(name) for name in NAMES])[result.source]
    same_epoch = np.diff(result.epoch) == 0
    assert (np.diff(place)[same_epoch] >= 0).all()
    if is_sorted:
        assert (np.diff(result.complexity)[same_epoch & (np.diff(place) == 0)] >= 0).all()


@given(copies_of_epochs())
def test_domains_come_by_mean_complexity_without_an_order(copies):
    result = ordered(copies, "by_domain")
    means = [
        np.average(copies.complexity[copies.source == source], weights=copies.tokens[copies.source == source])
        for source in dict.fromkeys(result.source[result.epoch == 0].tolist())
    ]
    assert (np.diff(means) >= -1e-9).all()


@refused(
    ("staged", {"stages": 0}, "stages is 0; it must be 1 or more"),
    ("staged", {"thresholds": [3, 2]}, r"thresholds is \[3.0, 2.0\]; it must be a list of rising numbers"),
    ("staged", {"percentiles": [50, 120]}, r"percentiles is \[50.0, 120.0\]; it must be 0 or more and at most 100"),
    ("staged", {"percentiles": [50], "thresholds": [1]}, "give thresholds or percentiles, not both"),
    ("staged", {"revisit": "yes"}, "revisit is 'yes'; it must be of type bool"),
    ("interleaved", {"cycles": 1.5}, "cycles is 1.5; it must be of type int"),
    ("paced_in_steps", {"at": [0.5, 0.2]}, r"at is \[0.5, 0.2\]; it must be a list of rising numbers"),
    ("paced_in_steps", {"at": [0.5], "thresholds": [1, 2]}, "at has 1 points for 2 edges"),
    ("warm_up", {"share": 0}, "share is 0.0; it must be above 0 and at most 1"),
    ("warm_up", {"ordering": {"name": "spiral"}}, "ordering.name is 'spiral'; choose one of random, easy_to_hard"),
    ("warm_up", {"ordering": "random"}, "ordering must be a section with keys, not 'random'"),
    ("warm_up", {"ordering": {"name": "paced", "strat": 1}}, "the key ordering.strat is not known; did you mean start"),
    ("by_domain", {"sources": "novels"}, "sources must be a list, not 'novels'"),
)
def test_wrong_parameters_are_refused(name, values):
    build_named({"name": name, **values}, ORDERINGS)


def test_an_order_of_domains_names_them_all():
    documents = DocumentTable(*(np.ones(3, np.int64) for _ in range(2)), np.zeros(3), np.arange(3), NAMES)
    copies = Copies.of(documents, np.arange(3), np.zeros(3, np.int64))
    with pytest.raises(UserError, match="must name each source of the corpus once, novels, speech, wiki; not wiki"):
        ordered(copies, "by_domain", sources=["wiki"])
