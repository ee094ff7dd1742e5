"""The coordinate check: what training changes in every layer does not depend on the size under `transfer`."""

import pytest

from benchmarks.parametrization import best_rate, config_of, coordinates, models


def spread_of_changes(parametrization: str, sizes: list[tuple[int, int]]) -> dict[str, float]:
    """By kind of layer, the largest change of its output over the smallest, among models of these sizes."""
    with models() as make:
        configs = [config_of(hidden, tokens, 64, parametrization=parametrization) for hidden, tokens in sizes]
        found = [coordinates(make, config, 4e-3, steps=4) for config in configs]
    changes = {kind: [of_size[kind][1] for of_size in found] for kind in found[0]}
    return {kind: max(values) / min(values) for kind, values in changes.items()}


@pytest.fixture(scope="module")
def more_tokens() -> dict[str, dict[str, float]]:
    return {name: spread_of_changes(name, [(64, 32), (64, 512)]) for name in ("standard", "transfer")}


def test_more_tokens_change_no_layer_more_under_transfer(more_tokens):
    assert set(more_tokens["transfer"]) == {"query", "key", "value", "output", "feed_forward", "logits"}
    assert max(more_tokens["transfer"].values()) < 2.5


def test_under_standard_they_do(more_tokens):
    assert min(more_tokens["standard"][kind] for kind in ("query", "key", "value", "output", "feed_forward")) > 4


def test_tokens_and_width_together_change_no_layer_more_under_transfer():
    assert max(spread_of_changes("transfer", [(64, 32), (256, 128)]).values()) < 2.5


def test_the_best_rate_is_the_lowest_point_of_a_parabola():
    assert best_rate({1.0: 2.0, 2.0: 1.0, 4.0: 2.0}) == pytest.approx(2.0)
    assert 2.0 < best_rate({1.0: 3.0, 2.0: 1.0, 4.0: 2.0}) < 4.0
    assert best_rate({1.0: 1.0, 2.0: 2.0, 4.0: 3.0}) == 1.0
