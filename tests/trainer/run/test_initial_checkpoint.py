"""`model.init_method.path` starts a run from the weights of a checkpoint of any layout, after a check of its model."""

import json
import shutil
from pathlib import Path

import pytest
import torch

from tests.support.training.launching import start_training
from tests.support.training.layout_runs import LAYOUTS, RUN_OF_SIX_STEPS
from tests.support.training.run_files import assert_same_end, checkpoint, metrics, rewound_copy, step_lines
from tests.support.training.tiny_run import RUN, VOCABULARY
from tokenformer.conversion import official
from tokenformer.trainer.checkpoint.stored import StoredCheckpoint


def start_from(folder, **keys) -> tuple[str, ...]:
    """Settings that start from a checkpoint of its own model."""
    model = json.loads((folder / "model_config.json").read_text())
    init = {"path": str(folder), **keys}
    return "growth=null", f"model.init_method={json.dumps(init)}", f"model.model_config={json.dumps(model)}"


@pytest.fixture(scope="module")
def tp_checkpoint(layout_run):
    return checkpoint(layout_run("tp"))


def live_states(trainer) -> dict[str, dict]:
    optimizer = trainer.optimizer
    adam = {optimizer.id_to_name[id(param)]: state for param, state in optimizer.get_base_optimizer().state.items()}
    masters = trainer.grad_accumulator.parameters if trainer.grad_accumulator else {}
    return {
        name: {
            "weight": param.detach().clone(),
            "master": masters[name]["fp32"].detach().clone() if masters else None,
            "adam": adam.get(name, {}),
        }
        for name, param in trainer.unwrapped_model.get_named_params_with_correct_tied()
    }


@pytest.mark.parametrize("with_optimizer", [False, True])
def test_the_run_begins_with_the_weights_and_the_moments_if_asked(live_trainer, tp_checkpoint, with_optimizer):
    stored = StoredCheckpoint(tp_checkpoint)
    with live_trainer(*start_from(tp_checkpoint, optimizer=with_optimizer)) as trainer:
        states = live_states(trainer)
        assert (trainer.iteration_step, trainer.consumed_train_samples) == (0, 0)
        assert [group["lr"] for group in trainer.optimizer.get_base_optimizer().param_groups] == [0.0, 0.0]
    assert states.keys() == stored.keys()
    for name, live in states.items():
        state = stored[name]
        assert torch.equal(live["weight"], state.weight), name
        if with_optimizer:
            assert torch.equal(live["adam"].pop("step"), state.step) and state.step == 6
            assert live["adam"].keys() == state.moments.keys()
            assert all(torch.equal(live["adam"][key], moment) for key, moment in state.moments.items()), name
        else:
            assert live["adam"] == {}


def test_16_bit_weights_begin_with_fp32_copies_that_are_not_rounded(live_trainer, tp_checkpoint):
    stored = StoredCheckpoint(tp_checkpoint)
    settings = (*start_from(tp_checkpoint), "model.dtype=bfloat16", "optimizer.accumulate_grad_in_fp32=true")
    with live_trainer(*settings) as trainer:
        states = live_states(trainer)
    for name, live in states.items():
        assert torch.equal(live["master"], stored.weight(name))
        assert torch.equal(live["weight"], stored.weight(name).bfloat16())


def test_fp32_weights_begin_with_the_fp32_copies_of_16_bit_ones(live_trainer, layout_run):
    folder = checkpoint(layout_run("ZeRO-1 in 16 bits"))
    stored = StoredCheckpoint(folder)
    with live_trainer(*start_from(folder)) as trainer:
        states = live_states(trainer)
    for name, live in states.items():
        assert torch.equal(live["weight"], stored.master(name))


def held_out(run, step: int) -> float:
    (line,) = [line for line in metrics(run) if line["iteration_step"] == step and "val/loss" in line]
    return line["val/loss"]


def test_a_llama_of_four_processes_begins_in_two(layout_run, tiny_config, tmp_path):
    source = layout_run("tp and ZeRO-1")
    settings = (*RUN_OF_SIX_STEPS, "tokens.train_steps=2", *start_from(checkpoint(source)), "parallelism.tp=2")
    start_training(tiny_config, *settings, f"general.runs_folder={tmp_path}", ranks=2).expect_success()
    assert held_out(tmp_path / RUN, 0) == pytest.approx(held_out(source, 6), rel=1e-6)


def test_a_grown_model_begins_and_grows_on(reference, train_here):
    settings = [setting for setting in start_from(checkpoint(reference)) if setting != "growth=null"]
    run = train_here(*settings)
    assert held_out(run, 0) == held_out(reference, 16)
    sizes = [line["growth/parameters"] for line in step_lines(run)]
    assert sizes[0] == step_lines(reference)[-1]["growth/parameters"] and sizes[-1] > 2 * sizes[0]


def test_a_resumed_run_reads_its_own_checkpoint_alone(reference, train_here, tmp_path):
    source = shutil.copytree(checkpoint(reference), tmp_path / "source")
    settings = (*start_from(source, optimizer=True), "tokens.train_steps=6", "checkpoints.checkpoint_interval=3")
    whole = train_here(*settings)
    stopped = rewound_copy(whole, tmp_path / "resumed", 3)
    shutil.rmtree(source)
    settings = [setting for setting in settings if "model_config" not in setting]
    model = json.loads((checkpoint(whole) / "model_config.json").read_text())
    train_here(*settings, f"model.model_config={json.dumps(model)}", runs_folder=tmp_path / "resumed")
    assert_same_end(stopped, whole)


def official_tensors(folder: Path, sizes: official.OfficialSizes) -> dict[str, torch.Tensor]:
    """Random ones, of which folder/imported holds the checkpoint."""
    tensors = {name: torch.randn(shape) * 0.05 for name, shape in official.official_shapes(sizes).items()}
    torch.save(tensors, folder / "pytorch_model.bin")
    official.import_checkpoint(folder, folder / "imported", heads=2, context_length=32)
    return tensors


def test_an_imported_checkpoint_is_trained_on(train_here, tmp_path):
    released = official_tensors(tmp_path, official.OfficialSizes(2, 32, VOCABULARY, 8, 12, 20))
    settings = ("tokens.train_steps=4", "checkpoints.checkpoint_interval=2", *start_from(tmp_path / "imported"))
    run = train_here(*settings)
    first = StoredCheckpoint(checkpoint(run, 2))
    for theirs, ours, _ in official.official_tensors(2):
        assert first.weight(ours).shape == released[theirs].shape
        assert 0 < (first.weight(ours) - released[theirs]).abs().max() < 0.01, ours  # two steps of warm-up
    assert step_lines(run)[-1]["lm_loss"] < step_lines(run)[0]["lm_loss"]


@pytest.fixture
def refusal(refusal, tmp_path):
    """Why a run does not begin; nothing is written."""

    def of_new_run(*settings: str) -> str:
        message = refusal(*settings, runs_folder=tmp_path / "runs")
        assert not (tmp_path / "runs").exists()
        return message

    return of_new_run


DIFFERENT = {
    "a size": ("model.model_config.feed_forward_tokens=48", ["feed_forward_tokens", "32", "48"]),
    "segments": ("model.model_config.qkv_tokens=12", ["qkv_tokens", "'tau': 3.0", "12"]),
    "what no tensor shows": ("model.model_config.rope_theta=500", ["rope_theta", "10000.0", "500.0"]),
    "the vocabulary": ("model.model_config.vocab_size=400", ["vocab_size", "384", "400"]),
    "the type": (f"{LAYOUTS['tp and ZeRO-1'].model[0]}", ["tokenformer", "llama"]),
}


@pytest.mark.parametrize(("setting", "named"), DIFFERENT.values(), ids=DIFFERENT.keys())
def test_another_model_is_refused_with_the_key_and_both_values(refusal, tp_checkpoint, setting, named):
    message = refusal(*start_from(tp_checkpoint), setting)
    words = ["model.init_method.path", str(tp_checkpoint), *named]
    assert [word for word in words if word not in message] == [], message


def test_what_no_weight_depends_on_may_differ(live_trainer, tp_checkpoint):
    changes = ("max_position_embeddings=64", "initialization=fan_in", "kernel=reference")
    with live_trainer(*start_from(tp_checkpoint), *(f"model.model_config.{change}" for change in changes)) as trainer:
        assert trainer.model_config.max_position_embeddings == 64


def test_a_vocabulary_of_another_tokenizer_is_named(refusal, tmp_path, train_here):
    official_tensors(tmp_path, official.OfficialSizes(1, 32, 100, 8, 8, 8))
    message = refusal(*start_from(tmp_path / "imported"), f"model.model_config.vocab_size={VOCABULARY}")
    assert "vocab_size: 100" in message and str(VOCABULARY) in message and "tokenizer of the checkpoint" in message


def test_moments_that_are_not_there_are_refused(refusal, tmp_path):
    official_tensors(tmp_path, official.OfficialSizes(1, 32, VOCABULARY, 8, 8, 8))
    message = refusal(*start_from(tmp_path / "imported", optimizer=True))
    assert "model.init_method.optimizer" in message and str(tmp_path / "imported") in message


def test_a_damaged_checkpoint_is_refused_before_anything_is_written(refusal, tp_checkpoint, tmp_path):
    copy = shutil.copytree(tp_checkpoint, tmp_path / "copy")
    damaged = next(copy.glob("model/**/*tp-rank-1-of-2.safetensors"))
    damaged.unlink()
    message = refusal(*start_from(copy))
    assert "model.init_method.path" in message and str(damaged) in message
