"""Two processes train what one process trains, in every layout, growth included."""

import pytest
import torch

from tests.support.training.launching import start_training
from tests.support.training.run_files import checkpoint, event_steps, files, metrics, optimizer_state, weights

LAYOUTS = {
    "tp, all-reduce": ("parallelism.tp=2", "parallelism.tp_mode=ALL_REDUCE"),
    "tp, reduce-scatter": ("parallelism.tp=2", "parallelism.tp_mode=REDUCE_SCATTER"),
    "pp": ("parallelism.pp=2",),
}

# The tiny model with what layouts can get wrong: parameters that every shard holds whole (norms, tau), heads that are
# shared, a head that is not the embedding, learning rates by size, and, for pp, a mask that travels with the hidden
# states.
DEMANDING_MODEL = (
    "model.model_config.parametrization=transfer",
    "model.model_config.base_size={hidden_size: 16, qkv_tokens: 8, output_tokens: 32, feed_forward_tokens: 64}",
    "model.model_config.tau=learned",
    "model.model_config.num_attention_heads=4",
    "model.model_config.num_key_value_heads=2",
    "model.model_config.block_norm=rms_norm",
    "model.model_config.block_norm_affine=true",
    "model.model_config.tie_word_embeddings=false",
    "model.model_config.document_mask=true",
    "model.model_config.eos_token_id=0",
)

# Sums over a batch or over parameter tokens are taken in another order, which changes the last bits of fp32 (6e-8 of a
# value). A loss is a mean and keeps that size: 2e-7 was the most seen in 16 steps, 4e-7 for the norm of the gradient,
# whose terms differ more in size.
LOSS_TOLERANCE = 1e-6
GRADIENT_TOLERANCE = 5e-6


def assert_close(ours: float, theirs: float, tolerance: float, where: str) -> None:
    assert abs(ours - theirs) <= tolerance * abs(theirs), f"{where}: {ours} and {theirs}"


def assert_metrics_close(run, reference):
    ours, theirs = metrics(run), metrics(reference)
    assert [line["iteration_step"] for line in ours] == [line["iteration_step"] for line in theirs]
    for our_line, their_line in zip(ours, theirs, strict=True):
        assert our_line.keys() == their_line.keys()
        for key, value in their_line.items():
            where = f"{key} at step {their_line['iteration_step']}"
            if "loss" in key or key.startswith("val/"):
                assert_close(our_line[key], value, LOSS_TOLERANCE, where)
            elif key == "grad_norm":
                assert_close(our_line[key], value, GRADIENT_TOLERANCE, where)
            else:
                assert our_line[key] == value, where


def test_two_replicas_have_the_losses_of_one(two_replicas, reference):
    assert len(event_steps(two_replicas)) == 2
    assert_metrics_close(two_replicas, reference)


def test_two_replicas_have_the_weights_of_one_until_they_grow(two_replicas, reference):
    step = event_steps(reference)[0]
    ours, theirs = weights(checkpoint(two_replicas, step)), weights(checkpoint(reference, step))
    assert ours.keys() == theirs.keys()
    for name, tensor in theirs.items():
        torch.testing.assert_close(ours[name], tensor, atol=1e-6, rtol=1e-6, msg=name)


def test_two_replicas_end_with_the_weights_and_moments_of_one(two_replicas, reference):
    """The gradient of a new key is next to nothing while its value is next to zero. Adam divides it by its own size, so
    its last bits weigh as much as a learning rate: 5 of the 61504 weights differ by more than 1e-6, by 1.3e-5 at most.
    """
    ours, theirs = weights(checkpoint(two_replicas)), weights(checkpoint(reference))
    assert ours.keys() == theirs.keys()
    difference = torch.cat([(ours[name] - theirs[name]).abs().flatten() for name in theirs])
    assert difference.square().mean().sqrt() <= 1e-6
    assert (difference > 1e-5).double().mean() <= 1e-3
    assert difference.max() <= 1e-4

    ours, theirs = optimizer_state(checkpoint(two_replicas)), optimizer_state(checkpoint(reference))
    assert ours.keys() == theirs.keys()
    for name, tensor in theirs.items():
        torch.testing.assert_close(ours[name], tensor, atol=1e-6, rtol=1e-4, msg=name)


@pytest.fixture(scope="module")
def demanding_run(command_line, tmp_path_factory):
    """The folder of the tiny run with the demanding model, trained by one process."""
    folder = tmp_path_factory.mktemp("one-process")
    assert command_line(*DEMANDING_MODEL, f"general.runs_folder={folder}") == 0
    return folder / "tiny"


@pytest.fixture(scope="module", params=LAYOUTS.values(), ids=LAYOUTS.keys())
def two_shards(request, tiny_config, tmp_path_factory):
    """The folder of the same run, trained by two processes that share one model."""
    folder = tmp_path_factory.mktemp("two-shards")
    settings = (*request.param, *DEMANDING_MODEL, f"general.runs_folder={folder}")
    start_training(tiny_config, *settings, ranks=2).expect_success()
    return folder / "tiny"


def test_two_shards_have_the_losses_of_one_process(two_shards, demanding_run):
    assert len(event_steps(two_shards)) == 2
    assert_metrics_close(two_shards, demanding_run)


def moments_by_parameter(folder):
    """Adam's moments in a checkpoint of any layout: the parts that the shards hold, by parameter and moment."""
    parts = {}
    for name, tensor in sorted(optimizer_state(folder).items()):
        if not name.endswith(":step"):
            parts.setdefault(name.partition(":")[2], []).append(tensor)
    return parts


def is_close(ours: torch.Tensor, theirs: torch.Tensor) -> bool:
    return torch.allclose(ours, theirs, atol=1e-5 * theirs.abs().max().item(), rtol=1e-3)


def test_two_shards_have_the_gradients_of_one_process(two_shards, demanding_run):
    """By Adam's moments, since neither losses nor weights show a gradient that is too large by a factor."""
    step = event_steps(demanding_run)[0]
    ours, theirs = (moments_by_parameter(checkpoint(run, step)) for run in (two_shards, demanding_run))
    assert ours.keys() == theirs.keys()
    wrong = []
    for name, [whole] in theirs.items():
        held_whole = all(part.shape == whole.shape for part in ours[name])
        parts = ours[name] if held_whole else [torch.cat(ours[name])]
        wrong.extend(name for part in parts if not is_close(part, whole))
    assert wrong == []


def test_each_shard_has_its_part_in_every_checkpoint(two_shards):
    folders = [path for path in (two_shards / "checkpoints").iterdir() if path.name != "latest.txt"]
    assert sorted(int(folder.name) for folder in folders) == list(range(1, 17))
    for folder in folders:
        names = files(folder)
        assert len([name for name in names if name.startswith("optimizer/optimizer_pp")]) == 2
        assert len([name for name in names if name.startswith("random/")]) == 2
