"""Drawing without replacement: exact numbers, no repeats, the stated distribution, no memory."""

import tracemalloc
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tokenformer.corpora.formal import LANGUAGES, formal_language
from tokenformer.corpora.formal.sampling import Sample, shared_out
from tokenformer.errors import UserError
from tokenformer.randomness import Permutation


@given(st.lists(st.integers(1, 50), min_size=1, max_size=12), st.data())
def test_shares_are_whole_and_as_equal_as_capacities_allow(capacities, data):
    amount = data.draw(st.integers(0, sum(capacities)))
    shares = shared_out(amount, capacities)
    assert sum(shares) == amount
    assert all(0 <= share <= capacity for share, capacity in zip(shares, capacities, strict=True))
    not_full = [share for share, capacity in zip(shares, capacities, strict=True) if share < capacity]
    assert not not_full or max(shares) <= min(not_full) + 1


@settings(max_examples=60)
@given(st.sampled_from([*LANGUAGES]), st.integers(0, 30), st.integers(0, 8), st.integers(0, 8), st.integers())
def test_purposes_get_what_they_ask_for_and_no_string_twice(name, train, validation, pairs, seed):
    parameters = {"repeats": 2} if name == "equal_counts" else {}
    purposes = {"train": train, "validation": validation, "pairs": pairs}
    sample = Sample(formal_language(name, parameters), purposes, seed)
    drawn = [*sample]
    found = Counter(each.purpose for each in drawn)
    assert all(found[purpose] == amount for purpose, amount in purposes.items())
    assert len({each.text for each in drawn}) == len(drawn) == sample.size
    assert drawn == [*sample]


def test_all_of_a_language_can_be_drawn_and_not_one_more():
    language = formal_language("dyck", {"kinds": 2, "depth": 2, "longest": 6})
    available = sum(stratum.strings for stratum in language.strata())
    assert len({each.text for each in Sample(language, {"train": available}, 0)}) == available
    with pytest.raises(UserError, match=f"has {available} different strings.*{available + 1} are asked for"):
        Sample(language, {"train": available, "pairs": 1}, 0)


@pytest.mark.parametrize(("purposes", "seed"), [({"train": -1}, 0), ({"train": 1.5}, 0), ({"train": 1}, "x")])
def test_numbers_that_are_none(purposes, seed):
    with pytest.raises(UserError, match="set it to a whole number"):
        Sample(formal_language("dyck"), purposes, seed)


def test_difficulties_sizes_and_purposes_are_evenly_mixed():
    sample = Sample(formal_language("dyck", {"depth": 4}), {"train": 4000, "validation": 400}, seed=1)
    drawn = [*sample]
    levels = Counter(each.stratum.difficulty for each in drawn)
    # One level deep there are few strings in the short lengths alone.
    assert max(levels.values()) - min(levels.values()) <= 1
    held_out = Counter(each.stratum.difficulty for each in drawn if each.purpose == "validation")
    assert all(abs(count - 100) <= 1 for count in held_out.values())
    lengths = Counter(each.stratum.size for each in drawn if each.stratum.difficulty == 4 and each.stratum.size > 12)
    assert max(lengths.values()) - min(lengths.values()) <= 1
    first_half = Counter(each.stratum.difficulty for each in drawn[:2200])
    assert all(abs(count - 550) < 100 for count in first_half.values())


def test_strings_of_one_size_are_equally_likely():
    """42 balanced strings of ten symbols that are at most five deep, drawn one at a time with many seeds."""
    language = formal_language("dyck", {"kinds": 1, "depth": 3, "longest": 10})
    stratum = next(each for each in language.strata() if each.difficulty == 3 and each.size == 10)
    seen = Counter(Permutation(stratum.strings, "strings", seed, stratum)[0] for seed in range(50 * stratum.strings))
    assert len(seen) == stratum.strings
    assert all(20 < count < 90 for count in seen.values())


def test_memory_does_not_grow_with_the_sample():
    peaks = []
    for amount in (300, 3000):
        sample = Sample(formal_language("dyck"), {"train": amount}, 0)
        next(iter(sample))
        tracemalloc.start()
        assert sum(1 for _ in sample) == amount
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.5 * peaks[0] + 10_000
