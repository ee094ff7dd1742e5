"""What is written from whole tensors holds them bit for bit; Nanotron reads it, and a run goes on after it."""

import dataclasses
import json
import shutil
from pathlib import Path

import pytest
import torch
from nanotron.config import LRSchedulerArgs, OptimizerArgs
from nanotron.helpers import init_optimizer_and_grad_accumulator
from nanotron.serialize.optimizer import load_optimizer

from tests.support.nanotron_reading import model_by_nanotron
from tests.support.training.layout_runs import LAYOUTS
from tests.support.training.run_files import assert_same_end, checkpoint, event_steps, files, rewound_copy
from tokenformer.errors import UserError
from tokenformer.growth.parameter_state import ParameterState
from tokenformer.trainer.checkpoint.stored import StoredCheckpoint
from tokenformer.trainer.checkpoint.written import one_process, write_checkpoint


def assert_same_state(ours: ParameterState, theirs: ParameterState, name: str) -> None:
    assert ours.weight.dtype == theirs.weight.dtype and torch.equal(ours.weight, theirs.weight), name
    assert (ours.master is None) == (theirs.master is None)
    assert ours.master is None or torch.equal(ours.master, theirs.master), name
    assert ours.moments.keys() == theirs.moments.keys()
    assert all(torch.equal(ours.moments[key], moment) for key, moment in theirs.moments.items()), name
    assert theirs.step is None or torch.equal(ours.step, theirs.step), name


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_checkpoint_of_any_layout_becomes_one_of_one_process(layout_run, tmp_path, name):
    stored = StoredCheckpoint(checkpoint(layout_run(name)))
    write_checkpoint(tmp_path / "out", stored.model_config, stored, origin=stored)
    written = StoredCheckpoint(tmp_path / "out")
    assert written.keys() == stored.keys()
    for parameter in stored:
        assert_same_state(written[parameter], stored[parameter], parameter)
    assert written.model_config == stored.model_config and written.growth == stored.growth
    assert (written.step, written.samples, written.schedule()) == (6, 24, stored.schedule())
    assert not [path for path in files(tmp_path / "out") if "of-2" in path]
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def read_by_nanotron(folder: Path) -> dict[str, ParameterState]:
    """What Nanotron's own functions make of a checkpoint of one process."""
    with one_process() as context:
        model = model_by_nanotron(folder, context)
        schedule = LRSchedulerArgs(learning_rate=1.0, lr_warmup_style="linear", lr_decay_style="linear")
        in_fp32 = next(model.parameters()).dtype != torch.float32
        settings = OptimizerArgs(0, 0.0, None, in_fp32, 1e-8, 0.9, 0.95, True, learning_rate_scheduler=schedule)
        optimizer, accumulator = init_optimizer_and_grad_accumulator(model, settings, context)
        load_optimizer(optimizer, context, folder)
        adam = {optimizer.id_to_name[id(p)]: state for p, state in optimizer.get_base_optimizer().state.items()}
        masters = accumulator.parameters if accumulator else {}
        return {
            name: ParameterState(
                param.detach(),
                masters[name]["fp32"].detach() if masters else None,
                {key: adam[name][key] for key in ("exp_avg", "exp_avg_sq")},
                adam[name]["step"],
            )
            for name, param in model.get_named_params_with_correct_tied()
        }


@pytest.mark.parametrize("name", ["pp", "ZeRO-1 in 16 bits", "tp and ZeRO-1"])
def test_nanotron_itself_reads_it(layout_run, tmp_path, name):
    stored = StoredCheckpoint(checkpoint(layout_run(name)))
    write_checkpoint(tmp_path / "out", stored.model_config, stored)
    read = read_by_nanotron(tmp_path / "out")
    assert read.keys() == stored.keys()
    for parameter, state in read.items():
        assert_same_state(state, stored[parameter], parameter)


def test_a_run_goes_on_bitwise_after_a_checkpoint_that_was_written_again(reference, train_here, tmp_path):
    step = event_steps(reference)[0] + 1
    run = rewound_copy(reference, tmp_path, step)
    stored = StoredCheckpoint(checkpoint(reference, step))
    shutil.rmtree(checkpoint(run))
    write_checkpoint(run / "checkpoints" / str(step), stored.model_config, stored, origin=stored)
    train_here(runs_folder=tmp_path)
    assert_same_end(run, reference)


def test_weights_alone_are_step_0_of_no_run(reference, tmp_path):
    stored = StoredCheckpoint(checkpoint(reference))
    weights = {name: stored.without_moments(name) for name in stored}
    growth = dataclasses.replace(stored.growth, events=stored.growth.events[:1])
    write_checkpoint(tmp_path / "out", stored.model_config, weights, growth=growth)
    written = StoredCheckpoint(tmp_path / "out")
    assert (written.step, written.samples, written.has_moments, written.growth) == (0, 0, False, growth)
    names = {path.name for path in (tmp_path / "out").iterdir()}
    records = {"config.yaml", "model_config.json", "checkpoint_metadata.json", "growth.json", "checksums.json"}
    assert names == {"model"} | records
    assert json.loads((tmp_path / "out" / "growth.json").read_text())["events"][0]["stage"] == 1
    assert all(torch.equal(written.weight(name), weights[name].weight) for name in stored)


class Interrupted(dict):
    """States of which one cannot be had, as when memory or the disk ends."""

    def __getitem__(self, name):
        if name.endswith("final_norm.pp_block.bias"):
            raise MemoryError
        return super().__getitem__(name)


def test_nothing_is_left_of_a_checkpoint_that_was_not_finished(reference, tmp_path):
    stored = StoredCheckpoint(checkpoint(reference))
    with pytest.raises(MemoryError):
        write_checkpoint(tmp_path / "out", stored.model_config, Interrupted(stored.items()))
    short = {name: stored[name] for name in list(stored)[1:]}
    with pytest.raises(ValueError, match=next(iter(stored))):
        write_checkpoint(tmp_path / "out", stored.model_config, short)
    wrong = dict(stored.items()) | {"model.final_norm.pp_block.bias": ParameterState(torch.zeros(3))}
    with pytest.raises(ValueError, match=r"final_norm\.pp_block\.bias"):
        write_checkpoint(tmp_path / "out", stored.model_config, wrong)
    assert list(tmp_path.iterdir()) == []


def test_an_existing_output_is_kept(reference, tmp_path):
    stored = StoredCheckpoint(checkpoint(reference))
    (tmp_path / "file").write_text("precious")
    with pytest.raises(UserError, match="exists"):
        write_checkpoint(tmp_path, stored.model_config, stored)
    assert (tmp_path / "file").read_text() == "precious"
