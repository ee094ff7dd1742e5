"""Random numbers by name: every stream is what it was when runs and corpora were first drawn from it."""

from collections import Counter

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.cases import cases
from tokenformer.randomness import Draws, Permutation, named_generator

NAME = "model.decoder.0.pp_block.attention.output.key_tokens"


@cases(
    ((42, NAME), 7010354297622758871),
    ((42, "append_tokens", 1, NAME), 7226398383586292103),
    ((42, "hypercloning", 2, NAME), 4137867951409439866),
    ids=["a first weight", "appended tokens", "a clone's noise"],
)
def test_a_name_gives_the_same_generator_for_ever(name, seed):
    assert named_generator(*name).initial_seed() == seed
    state = torch.get_rng_state()
    torch.randn(3, generator=named_generator(*name))
    assert torch.equal(torch.get_rng_state(), state)


@settings(max_examples=60)
@given(st.integers(1, 400), st.integers())
def test_a_permutation_has_every_number_once(size, key):
    order = Permutation(size, key)
    assert sorted(order[place] for place in range(size)) == [*range(size)]
    with pytest.raises(IndexError):
        order[size]


def test_permutations_of_a_few_numbers_are_all_as_likely():
    seen = Counter(tuple(Permutation(4, key)[place] for place in range(4)) for key in range(4800))
    assert len(seen) == 24
    # Chi squared with 23 degrees of freedom: above 56 once in 7000.
    assert sum((count - 200) ** 2 / 200 for count in seen.values()) < 56


def test_a_permutation_of_more_numbers_than_any_computer_holds():
    order = Permutation(10**100 + 1, "large")
    numbers = [order[place] for place in range(200)]
    assert len(set(numbers)) == 200
    assert 0.3 < sum(number < 10**100 // 2 for number in numbers) / 200 < 0.7


def test_draws_are_even_and_do_not_depend_on_one_another():
    draws = Draws("test")
    seen = Counter((draws.below(3), draws.below(3)) for _ in range(9000))
    assert len(seen) == 9 and all(850 < count < 1150 for count in seen.values())
