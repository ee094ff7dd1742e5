"""An unknown key is answered with the key that was meant, by its whole path and by meaning, or with no guess at all."""

import subprocess
import sys

import pytest

from tokenformer.config.nearest import nearest_word
from tokenformer.errors import UserError
from tokenformer.run_config import load_run_config

MEANT = {
    "learning_rate": "optimizer.learning_rate_scheduler.learning_rate",
    "lr": "optimizer.learning_rate_scheduler.learning_rate",
    "optimizer.learning_rate": "optimizer.learning_rate_scheduler.learning_rate",
    "optimizer.min_lr": "optimizer.learning_rate_scheduler.min_decay_lr",
    "optimizer.learning_rate_scheduler.warmup": "lr_warmup_steps",
    "batch_size": "tokens.micro_batch_size",
    "tokens.batch_size": "micro_batch_size",
    "tokens.gradient_accumulation_steps": "batch_accumulation_per_replica",
    "max_steps": "tokens.train_steps",
    "tokens.seq_len": "sequence_length",
    "epochs": "curriculum.budget.max_epochs",
    "seed": "general.seed",
    "hidden_size": "model.model_config.hidden_size",
    "model.hidden_size": "model.model_config.hidden_size",
    "model.model_config.n_layers": "num_hidden_layers",
    "curriculum.orderings": "ordering",
    "curriculum.ordering.strat": "start",
    "growth.trigger.percentile": "percentiles",
    "growth.erliest_step": "earliest_step",
    "general.tensorboard": "logging.tensorboard",
}
NO_GUESS = ["logging.comet", "growth.trigger.moon", "general.mlflow", "parallelism.cpu", "xyz"]


@pytest.fixture(scope="module")
def message_of(repository):
    def message(*assignments: str) -> str:
        with pytest.raises(UserError) as caught:
            load_run_config(repository / "configs" / "tokenformer.yaml", assignments)
        return str(caught.value)

    return message


@pytest.mark.parametrize("key", MEANT)
def test_the_key_that_was_meant_is_named(message_of, key):
    assert f"the key {key} is not known; did you mean {MEANT[key]}?" in message_of(f"{key}=1")


@pytest.mark.parametrize("key", NO_GUESS)
def test_a_word_that_is_near_nothing_gets_no_guess_but_all_keys(message_of, key):
    message = message_of(f"{key}=1")
    assert f"the key {key} is not known; the keys here are " in message and "did you mean" not in message


def test_all_unknown_keys_come_in_one_message(message_of):
    keys = ["lr", "tokens.trian_steps", "curriculum.ordering.strat", "model.model_config.hidden_sise"]
    message = message_of(*(f"{key}=1" for key in keys))
    assert [key for key in keys if f"the key {key} is not known" not in message] == []
    assert "\n" not in message


def test_keys_of_an_operator_for_another_model_type_are_not_guessed(message_of):
    """A section of the wrong shape has no near name to offer."""
    assert nearest_word("append_tokens", ["width", "feed_forward", "noise_db", "kind", "tied_embeddings"]) is None


def test_a_mistake_is_answered_without_torch(repository):
    """Whoever mistypes a key does not wait until torch and Nanotron are imported."""
    program = (
        "import sys, pathlib\n"
        "from tokenformer.run_config import load_run_config\n"
        "try: load_run_config(pathlib.Path(sys.argv[1]), ['lr=1'])\n"
        "except Exception as error: print(error)\n"
        "print(sorted({'torch', 'nanotron', 'transformers', 'pandas'} & set(sys.modules)))"
    )
    arguments = [sys.executable, "-c", program, str(repository / "configs" / "tokenformer.yaml")]
    printed = subprocess.run(arguments, capture_output=True, text=True, check=True).stdout.splitlines()
    assert "did you mean optimizer.learning_rate_scheduler.learning_rate?" in printed[0]
    assert printed[1] == "[]"
