"""Weight decay and learning rates by group reach the optimizer that Nanotron builds."""

import pytest
import torch
from torch.optim import AdamW

from tokenformer.config.nanotron_sections import (
    PUBLISHED_PARAMETER_GROUPS,
    LearningRateScheduler,
    Optimizer,
    ParameterGroup,
)
from tokenformer.trainer import bootstrap

NAMES = [
    "model.token_position_embeddings.pp_block.token_embedding.weight",
    "model.decoder.0.pp_block.attention_norm.weight",
    "model.decoder.0.pp_block.attention.qkv.query.key_tokens",
    "model.decoder.0.pp_block.attention.qkv.query.value_tokens",
    "model.decoder.0.pp_block.attention.qkv.query.tau",
    "model.final_norm.pp_block.bias",
]


@pytest.fixture
def named_params():
    bootstrap()
    return [(name, torch.nn.Parameter(torch.ones(2))) for name in NAMES]


def built(named_params, groups, wrap=lambda params: params, growth_factors=None):
    """A group of names, weight decay and learning rate for each group of the optimizer."""
    from nanotron import helpers

    from tokenformer.trainer.bridge.parameter_groups import grouped_parameters

    section = Optimizer(
        learning_rate_scheduler=LearningRateScheduler(learning_rate=0.01), weight_decay=0.1, parameter_groups=groups
    )
    with grouped_parameters(section, lambda: growth_factors or {}):
        optimizer = helpers.NamedOptimizer(wrap(named_params), lambda params: AdamW(params, lr=0.01, weight_decay=0.1))
    return [
        ({optimizer.id_to_name[id(param)] for param in group["params"]}, group["weight_decay"], group["lr"])
        for group in optimizer.param_groups
    ]


@pytest.mark.parametrize("wrap", [lambda params: params, lambda params: [{"named_params": params}]])
def test_norms_and_biases_are_not_decayed_and_parameter_tokens_and_embeddings_are(named_params, wrap):
    decayed, exempt = built(named_params, PUBLISHED_PARAMETER_GROUPS, wrap)
    assert decayed == ({NAMES[0], NAMES[2], NAMES[3]}, 0.1, 0.01)
    assert exempt == ({NAMES[1], NAMES[4], NAMES[5]}, 0.0, 0.01)


def test_the_first_matching_group_wins_and_empty_ones_are_kept(named_params):
    groups = [
        ParameterGroup("key_tokens", learning_rate_factor=0.5),
        ParameterGroup("tokens", weight_decay=0.3),
        ParameterGroup("nothing"),
    ]
    rest, keys, tokens, nothing = built(named_params, groups)
    assert keys == ({NAMES[2]}, 0.1, 0.005)
    assert tokens == ({NAMES[3]}, 0.3, 0.01)
    assert nothing == (set(), 0.1, 0.01)
    assert len(rest[0]) == 4


def test_no_groups_is_one_group_of_all(named_params):
    ((names, weight_decay, _),) = built(named_params, [])
    assert (names, weight_decay) == (set(NAMES), 0.1)


def test_growth_factors_scale_rates_and_leave_the_strength_of_decay(named_params):
    groups = [ParameterGroup("key_tokens", learning_rate_factor=0.5), ParameterGroup("norm|tau", weight_decay=0.0)]
    factors = dict.fromkeys((NAMES[0], NAMES[2], NAMES[4]), 0.25) | {"a parameter of another stage": 2.0}
    found = built(named_params, groups, growth_factors=factors)
    rest, keys, exempt = {NAMES[3]}, set(), {NAMES[1], NAMES[5]}
    assert found[:3] == [(rest, 0.1, 0.01), (keys, 0.1, 0.005), (exempt, 0.0, 0.01)]
    assert found[3:6] == [({NAMES[0]}, 0.4, 0.0025), ({NAMES[2]}, 0.4, 0.00125), ({NAMES[4]}, 0.0, 0.0025)]
    assert [names for names, _, _ in found[6:]] == [set(), set(), set()]
    for _, weight_decay, rate in (found[3], found[6]):
        assert weight_decay * rate == pytest.approx(0.1 * 0.01)


def test_nanotron_is_left_as_it_was(named_params):
    from nanotron import helpers
    from nanotron.optim.named_optimizer import NamedOptimizer

    built(named_params, [])
    assert helpers.NamedOptimizer is NamedOptimizer


def test_a_run_gives_its_groups_rates_of_their_own(live_trainer):
    with live_trainer("optimizer.parameter_groups=[{parameters: value_tokens, learning_rate_factor: 0.25}]") as trainer:
        groups = trainer.optimizer.get_base_optimizer().param_groups
        assert [group["initial_lr"] for group in groups] == [2.0e-3, 5.0e-4]
        assert len(trainer.lr_scheduler.get_last_lr()) == 2
