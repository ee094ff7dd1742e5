"""The algebra of cloned tensors."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tokenformer.growth.cloning import (
    CloneRule,
    Part,
    clone,
    clone_moment,
    cloned_matrix,
    outside_first_copy,
)

copies = st.integers(1, 4)
decibels = st.sampled_from([None, 40.0, 10.0, 0.0, -3.0])


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def random_matrix(rows: int, columns: int, seed: int = 0, dtype=torch.float64) -> torch.Tensor:
    return torch.randn(rows, columns, generator=seeded(seed), dtype=torch.float64).to(dtype)


@given(
    sizes=st.tuples(st.integers(1, 5), st.integers(1, 5)),
    outputs=copies,
    inputs=copies,
    kind=st.sampled_from(["symmetric", "diagonal"]),
    noise_db=decibels,
)
def test_copies_of_the_input_give_copies_of_the_output(sizes, outputs, inputs, kind, noise_db):
    weight, x = random_matrix(*sizes), random_matrix(sizes[1], 7, seed=1)
    grown = cloned_matrix(weight, outputs, inputs, kind=kind, noise_db=noise_db, generator=seeded(2))
    assert grown.shape == (outputs * sizes[0], inputs * sizes[1])
    torch.testing.assert_close(grown @ x.repeat(inputs, 1), (weight @ x).repeat(outputs, 1), rtol=0, atol=1e-12)


def blocks(matrix: torch.Tensor, rows: int, columns: int) -> torch.Tensor:
    """[row of blocks, column of blocks, rows, columns]"""
    return torch.stack([torch.stack(row.split(columns, dim=1)) for row in matrix.split(rows)])


@pytest.mark.parametrize("kind", ["symmetric", "diagonal"])
@pytest.mark.parametrize("noise_db", [40.0, 10.0, 0.0, -6.0])
@pytest.mark.parametrize(("outputs", "inputs"), [(2, 2), (1, 4), (3, 3), (4, 2)])
def test_noise_has_its_power_exactly_and_comes_in_opposite_pairs(outputs, inputs, noise_db, kind):
    weight = random_matrix(6, 8)
    without = cloned_matrix(weight, outputs, inputs, kind=kind)
    noisy = cloned_matrix(weight, outputs, inputs, kind=kind, noise_db=noise_db, generator=seeded(3))
    noise = blocks(noisy - without, 6, 8)
    pairs = inputs // 2
    left, right = noise[:, 0 : 2 * pairs : 2], noise[:, 1 : 2 * pairs : 2]
    torch.testing.assert_close(left, -right, rtol=0, atol=1e-14)
    power = (weight / inputs).square().mean() / 10 ** (noise_db / 10)
    torch.testing.assert_close(left.square().mean((-1, -2)), power.expand(outputs, pairs), rtol=1e-12, atol=0)
    assert not noise[:, 2 * pairs :].any()
    assert len(left.reshape(-1, 48).unique(dim=0)) == outputs * pairs


def test_noise_has_the_power_of_the_rows_that_share_a_level():
    weight = random_matrix(6, 8) * torch.tensor([1.0, 1.0, 10.0, 10.0, 100.0, 100.0])[:, None]
    noisy = cloned_matrix(weight, 2, 2, noise_db=20.0, noise_rows=2, generator=seeded())
    noise = noisy[:, :8] - weight.repeat(2, 1) / 2
    expected = (weight / 2).reshape(3, 16).square().mean(1) / 100
    torch.testing.assert_close(noise.reshape(6, 16).square().mean(1), expected.repeat(2), rtol=1e-12, atol=0)


@pytest.mark.parametrize("weight", [torch.zeros(2, 3), torch.full((2, 3), 1e-30), torch.full((1, 1), 2.0)])
def test_noise_of_tiny_weights_is_finite(weight):
    assert cloned_matrix(weight, 2, 2, noise_db=0.0).isfinite().all()


def test_a_single_input_copy_takes_no_noise_and_draws_nothing():
    generator, weight = seeded(), random_matrix(3, 4)
    state = generator.get_state()
    assert torch.equal(cloned_matrix(weight, 2, 1, noise_db=0.0, generator=generator), weight.repeat(2, 1))
    assert torch.equal(generator.get_state(), state)


def test_noise_comes_from_the_generator_that_is_given_or_else_from_torch():
    weight, state = random_matrix(3, 4), torch.get_rng_state()
    given = cloned_matrix(weight, 2, 2, noise_db=0.0, generator=seeded(7))
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(7)
    assert torch.equal(cloned_matrix(weight, 2, 2, noise_db=0.0), given)
    assert not torch.equal(cloned_matrix(weight, 2, 2, noise_db=0.0), given)
    torch.set_rng_state(state)


RULES = {
    "fused": CloneRule((Part(4, 2), Part(2, 1), Part(2, 1)), 6, inputs=2, noise_rows=2),
    "embedding": CloneRule((Part(7, 3),), 6, rows_are_inputs=True),
    "value tokens": CloneRule((Part(3, 2), Part(5, 2)), 4, inputs=3, rows_are_inputs=True),
    "vector": CloneRule((Part(5, 2),), scale=0.5),
    "scaled": CloneRule((Part(3, 1),), scale=2.0),
}


@pytest.fixture(params=RULES.values(), ids=RULES.keys())
def rule(request) -> CloneRule:
    return request.param


def random_parameter(rule: CloneRule, dtype=torch.float64) -> torch.Tensor:
    return random_matrix(rule.shape[0], rule.columns or 1, dtype=dtype).reshape(rule.shape)


def test_parts_are_cloned_as_if_alone_in_their_order():
    rule, old = RULES["fused"], random_parameter(RULES["fused"])
    generator = seeded(4)
    alone = [
        cloned_matrix(block, outputs, 2, noise_db=10.0, noise_rows=2, generator=generator)
        for block, outputs in zip(old.split([4, 2, 2]), (2, 1, 1), strict=True)
    ]
    assert torch.equal(clone(old, rule, noise_db=10.0, generator=seeded(4)), torch.cat(alone))


def test_rows_that_are_inputs_are_divided_and_noised_in_their_segment():
    rule = RULES["value tokens"]
    old, generator = random_parameter(rule), seeded(4)
    alone = [cloned_matrix(part.T, 2, 3, noise_db=0.0, generator=generator).T for part in old.split([3, 5])]
    grown = clone(old, rule, noise_db=0.0, generator=seeded(4))
    assert torch.equal(grown, torch.cat(alone))
    torch.testing.assert_close(grown[:9].reshape(3, 3, 8).sum(0), old[:3].repeat(1, 2))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
def test_a_clone_is_computed_in_fp32_and_rounded_once(rule, dtype):
    old = random_parameter(rule, dtype)
    kept = old.clone()
    grown = clone(old, rule, noise_db=0.0, generator=seeded(5))
    wide = old if dtype == torch.float64 else old.float()
    assert torch.equal(grown, clone(wide, rule, noise_db=0.0, generator=seeded(5)).to(dtype))
    assert grown.dtype == dtype and grown.is_contiguous()
    assert torch.equal(old, kept)


def test_shapes_agree_and_the_first_copy_is_the_old_parameter_by_the_factor_of_its_rate(rule):
    old = random_parameter(rule)
    grown, new = clone(old, rule), outside_first_copy(rule)
    assert grown.shape == clone_moment(old, rule, 1).shape == new.shape
    torch.testing.assert_close(grown[~new], old.flatten() * rule.learning_rate_factor)


def test_moments_are_repeated_and_multiplied_by_a_power_of_the_gradients_factor():
    old = random_parameter(RULES["fused"])
    first, second = (clone_moment(old, RULES["fused"], power) for power in (1, 2))
    query, others = old.split([4, 4])
    torch.testing.assert_close(first, torch.cat([query.repeat(2, 2) / 2, others.repeat(1, 2)]))
    torch.testing.assert_close(second, torch.cat([query.repeat(2, 2) / 4, others.repeat(1, 2)]))
    scaled = clone_moment(torch.ones(3), RULES["scaled"], 2)
    assert torch.equal(scaled, torch.full((3,), 0.25))


def test_a_parameter_of_another_shape_is_refused(rule):
    with pytest.raises(ValueError, match="stands where the config has"):
        clone(torch.zeros(rule.shape[0] + 1, *rule.shape[1:]), rule)
