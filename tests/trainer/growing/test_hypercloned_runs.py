"""A Llama that is cloned in its run learns what it would have learned without growth, as the law of moments says."""

import pytest

from tests.support.training.run_files import event_steps, step_lines

EVENT, STEPS = 20, 220
LLAMA = (
    "model.model_config={is_llama_config: true, vocab_size: 384, max_position_embeddings: 32, hidden_size: 16, "
    "num_hidden_layers: 1, num_attention_heads: 2, num_key_value_heads: 2, intermediate_size: 32, "
    "tie_word_embeddings: true}",
)
# The law holds where Adam's eps does not matter, and where no gradient is clipped: their common norm changes.
SETTINGS = (
    *LLAMA,
    "optimizer.clip_grad=null",
    "optimizer.optimizer_factory.adam_eps=1.0e-12",
    f"tokens.train_steps={STEPS}",
    "tokens.val_check_interval=-1",
    "checkpoints.checkpoint_interval=1000",
    "optimizer.learning_rate_scheduler.lr_decay_starting_step=210",
    "optimizer.learning_rate_scheduler.lr_decay_steps=10",
)
CLONED = (
    f"growth.trigger={{name: schedule, steps: [{EVENT}]}}",
    "growth.operators.llama={name: hypercloning, noise_db: null}",
)


def losses_after_event(run) -> list[float]:
    return [line["lm_loss"] for line in step_lines(run) if line["iteration_step"] > EVENT]


@pytest.mark.slow
def test_a_cloned_run_repeats_the_losses_of_the_small_one_to_five_decimals(train_here, tmp_path):
    small = train_here(*SETTINGS, "growth=null", runs_folder=tmp_path / "small")
    cloned = train_here(*SETTINGS, *CLONED, runs_folder=tmp_path / "cloned")
    assert (event_steps(small), event_steps(cloned)) == ([], [EVENT])
    expected, losses = losses_after_event(small), losses_after_event(cloned)
    assert len(losses) == len(expected) == STEPS - EVENT
    assert expected[-1] < expected[0] - 0.5
    assert max(abs(loss - other) for loss, other in zip(losses, expected, strict=True)) < 5e-6
