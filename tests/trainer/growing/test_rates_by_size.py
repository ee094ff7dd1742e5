"""Under `parametrization: transfer` a grown model learns at the rates of a model that was born in its size."""

import dataclasses
import json

import pytest

TRANSFER = (
    "model.model_config.parametrization=transfer",
    "model.model_config.base_size={hidden_size: 16, qkv_tokens: 8, output_tokens: 16, feed_forward_tokens: 32}",
    "model.model_config.tau=learned",
)
OPERATORS = {
    "zero values": "{name: append_tokens, factor: 2}",
    "zero keys": "{name: append_tokens, factor: 1.5, new_tokens: zero_keys}",
    "clones": "{name: append_tokens, factor: 2, new_tokens: clone}",
    "one layer": "{name: append_tokens, factor: 2, layers: [1]}",
    "hypercloning": "{name: hypercloning, width: 2}",
    "layers": "{name: stack_layers}",
}


def rates_of(trainer) -> dict[str, tuple[float, float]]:
    """Learning rate after warm-up and weight decay of every parameter."""
    optimizer = trainer.optimizer
    return {
        optimizer.id_to_name[id(param)]: (group["initial_lr"], group["weight_decay"])
        for group in optimizer.get_base_optimizer().param_groups
        for param in group["params"]
    }


@pytest.mark.parametrize("operator", OPERATORS.values(), ids=OPERATORS)
def test_a_grown_model_has_the_rates_of_one_born_in_its_size(live_trainer, operator):
    growth = ("growth.trigger={name: schedule, steps: [2]}", f"growth.operators.tokenformer={operator}")
    with live_trainer(*TRANSFER, *growth) as trainer:
        from tokenformer.growth.operator import GrowthContext
        from tokenformer.trainer.growing.live import grow

        with trainer.parameter_groups():
            grow(trainer, trainer.run.transition(1), GrowthContext(seed=7, event=1), "keep")
        grown, config = rates_of(trainer), dataclasses.asdict(trainer.model_config)
        current = {group["lr"] for group in trainer.optimizer.get_base_optimizer().param_groups}
        assert current == set(trainer.lr_scheduler.get_last_lr())
    with live_trainer("growth=null", f"model.model_config={json.dumps(config)}") as trainer:
        born = rates_of(trainer)
    assert grown == born
    for name, (rate, decay) in grown.items():
        assert rate * decay == pytest.approx(0.0 if "norm" in name or name.endswith("tau") else 2.0e-3 * 0.1), name


def test_values_of_old_and_new_tokens_slow_down_and_keys_do_not(live_trainer):
    with live_trainer(*TRANSFER) as trainer:
        rates = {name: rate for name, (rate, _) in rates_of(trainer).items()}
    query = "model.decoder.0.pp_block.attention.qkv.query"
    assert rates[f"{query}.value_tokens"] == pytest.approx(2.0e-3 * 8 / 16)
    assert rates[f"{query}.key_tokens"] == pytest.approx(2.0e-3 * 16 / 32)
    assert rates["model.token_position_embeddings.pp_block.token_embedding.weight"] == 2.0e-3


def test_rates_that_do_not_follow_growth_contradict_it(live_trainer):
    from tokenformer.errors import UserError

    contradiction = live_trainer(*TRANSFER, "growth.learning_rate_follows_width=false")
    with pytest.raises(UserError, match="growth.learning_rate_follows_width is false.*parametrization"), contradiction:
        pass
