"""Random weights are the same in every layout, for every model type, and so are the losses of a run from them."""

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from tests.support.training.launching import start_training
from tests.support.training.run_files import checkpoint, step_lines
from tests.support.training.tiny_run import RUN, VOCABULARY

LLAMA = (
    "model.model_config={is_llama_config: true, hidden_size: 32, num_attention_heads: 4, num_key_value_heads: 2, "
    f"num_hidden_layers: 2, intermediate_size: 64, vocab_size: {VOCABULARY}, max_position_embeddings: 32, "
    "tie_word_embeddings: true}",
)
MODELS = {"tokenformer": (), "llama": LLAMA}
SETTINGS = ("growth=null", "tokens.train_steps=6", "checkpoints.save_initial_state=true")
SETTINGS += ("checkpoints.checkpoint_interval=100", "optimizer.learning_rate_scheduler.lr_decay_starting_step=3")
LAYOUTS = {
    "tp": ("parallelism.tp=2",),
    "pp": ("parallelism.pp=2",),
    "dp": ("parallelism.dp=2", "tokens.micro_batch_size=2"),
}


@pytest.fixture(scope="module", params=MODELS)
def alone(request, command_line, tmp_path_factory):
    """The model's settings, and the folder of a run of one process."""
    folder, model = tmp_path_factory.mktemp("alone"), MODELS[request.param]
    assert command_line(*SETTINGS, *model, f"general.runs_folder={folder}") == 0
    return model, folder / RUN


@pytest.mark.parametrize("layout", LAYOUTS)
def test_losses_from_random_weights_are_those_of_one_process(alone, layout, tiny_config, tmp_path):
    model, reference = alone
    settings = (*SETTINGS, *model, *LAYOUTS[layout], f"general.runs_folder={tmp_path}")
    start_training(tiny_config, *settings, ranks=2).expect_success()
    ours, theirs = ([line["lm_loss"] for line in step_lines(run)] for run in (tmp_path / RUN, reference))
    np.testing.assert_allclose(ours, theirs, rtol=1e-5)
    if layout == "tp":
        assert_no_two_shards_are_equal(checkpoint(tmp_path / RUN, 0))


def assert_no_two_shards_are_equal(folder):
    firsts = list(folder.glob("model/**/*tp-rank-0-of-2*.safetensors"))
    assert len(firsts) > 4
    for path in firsts:
        first, second = (
            load_file(path.with_name(path.name.replace("tp-rank-0", f"tp-rank-{rank}")))["data"] for rank in (0, 1)
        )
        is_replica = path.name.startswith("model_weight") and "norm" in str(path)
        assert is_replica or not torch.equal(first, second), path
