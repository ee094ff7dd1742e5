"""What the reader makes of a checkpoint is what the ranks that wrote it held, bit for bit; damage is named."""

import json
import math
import re
import shutil

import pytest
import torch

from tests.support.folders import all_bytes, forget_checksums
from tests.support.training.layout_runs import LAYOUTS
from tests.support.training.run_files import checkpoint, weights
from tokenformer.errors import UserError
from tokenformer.model.flops import model_size
from tokenformer.trainer.checkpoint.stored import StoredCheckpoint


@pytest.fixture(params=LAYOUTS)
def run(request, layout_run):
    return layout_run(request.param)


def parts(whole: torch.Tensor, record: dict) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Of a rank's shard in its record: each slice of the whole and the shard's."""
    return [(whole[there], record["weight"][here]) for here, there in record["slices"]] or [(whole, record["weight"])]


def shard(whole: torch.Tensor, record: dict) -> torch.Tensor:
    """What the optimizer of a rank holds of a whole tensor."""
    held = torch.empty_like(record["weight"], dtype=whole.dtype)
    for here, there in record["slices"]:
        held[here] = whole[there]
    held = held if record["slices"] else whole
    return held if record["ends"] is None else held.reshape(-1)[slice(*record["ends"])]


def test_every_tensor_is_what_the_ranks_held(run):
    stored = StoredCheckpoint(checkpoint(run))
    ranks = [torch.load(path, weights_only=False) for path in sorted(run.glob("held-6-*.pt"))]
    assert {name for rank in ranks for name in rank} == set(stored)
    covered = dict.fromkeys(stored, 0)
    for name, state in stored.items():
        for record in (rank[name] for rank in ranks if name in rank):
            for whole, part in parts(state.weight, record):
                assert whole.dtype == part.dtype and torch.equal(whole, part), name
                covered[name] += part.numel()
            if record["master"] is not None:
                assert torch.equal(shard(state.master, record), record["master"]), name
            for key, tensor in record["moments"].items():
                expected = state.step if key == "step" else shard(state.moments[key], record)
                assert torch.equal(expected, tensor), f"{key} of {name}"
        assert state.weight.shape == stored.weights.shape(name)
        assert covered[name] % state.weight.numel() == 0
        assert all(moment.any() and moment.shape == state.weight.shape for moment in state.moments.values()), name


def test_it_tells_the_model_and_the_step(run):
    stored = StoredCheckpoint(checkpoint(run))
    assert sum(math.prod(stored.weights.shape(name)) for name in stored) == model_size(stored.model_config).parameters
    assert (stored.step, len(stored.growth.events), stored.has_moments) == (6, 0, True)
    assert stored.growth.model_config == stored.model_settings
    assert stored.schedule()["last_epoch"] == 6


def test_a_tied_head_stands_under_the_name_of_the_embedding(layout_run):
    """The second pipeline stage holds a copy, with its own moments."""
    stored = StoredCheckpoint(checkpoint(layout_run("pp")))
    second = torch.load(layout_run("pp") / "held-6-1.pt", weights_only=False)
    name = "model.token_position_embeddings.pp_block.token_embedding.weight"
    assert name in stored and name in second and "model.lm_head.pp_block.weight" not in stored
    assert torch.equal(stored[name].moments["exp_avg"], second[name]["moments"]["exp_avg"])


def test_a_grown_checkpoint_is_read_with_its_history(reference):
    stored = StoredCheckpoint(checkpoint(reference))
    assert [event.stage for event in stored.growth.events] == [1, 2]
    assert [segment.tokens for segment in stored.model_config.qkv_tokens] == [16, 16, 32]
    assert sum(tensor.numel() for tensor in weights(stored.folder).values()) == stored.weights.elements


def test_a_state_without_moments_has_the_fp32_copy_of_the_weight(layout_run):
    stored = StoredCheckpoint(checkpoint(layout_run("ZeRO-1 in 16 bits")))
    for name in stored:
        state = stored.without_moments(name)
        assert (state.moments, state.step) == ({}, None)
        assert state.weight.dtype == torch.bfloat16 and state.master.dtype == torch.float32
        assert torch.equal(state.most_precise.bfloat16(), state.weight)
        assert torch.equal(state.master, stored[name].master)


@pytest.fixture
def copy(layout_run, tmp_path):
    """A checkpoint of two tensor-parallel ranks, without checksums, to be damaged."""
    return forget_checksums(shutil.copytree(checkpoint(layout_run("tp")), tmp_path / "copy"))


QUERY = "model/model/decoder/1/pp_block/attention/qkv/query"
SHARD = f"{QUERY}/model_key_tokens_pp-rank-0-of-1_tp-rank-1-of-2.safetensors"
OTHER_SHARD = SHARD.replace("rank-1", "rank-0")
NORM = "model/model/final_norm/pp_block/model_weight.safetensors"
OPTIMIZER = "optimizer/optimizer_pp-0-of-1_tp-1-of-2_exp-0-of-1.pt"


def cut(path):
    path.write_bytes(path.read_bytes()[:-40])


DAMAGES = {
    "a missing shard": (lambda copy: (copy / SHARD).unlink(), [SHARD, "missing"]),
    "a missing parameter": (lambda copy: (copy / NORM).unlink(), ["missing", "model.final_norm.pp_block.weight"]),
    "a cut shard": (lambda copy: cut(copy / SHARD), [SHARD, "not copied whole"]),
    "an empty file": (lambda copy: (copy / NORM).write_bytes(b""), [NORM, "not copied whole"]),
    "a file of another layout": (
        lambda copy: shutil.copy(copy / SHARD, copy / SHARD.replace("1-of-2", "2-of-3")),
        [QUERY, "more than one layout"],
    ),
    "a shard of two stages": (
        lambda copy: shutil.copy(copy / SHARD, copy / SHARD.replace("pp-rank-0", "pp-rank-1")),
        [QUERY, "twice"],
    ),
    "a strange file": (lambda copy: shutil.copy(copy / SHARD, copy / "model/x.safetensors"), ["model/x.safetensors"]),
    "a missing part of the optimizer": (lambda copy: (copy / OPTIMIZER).unlink(), [OPTIMIZER, "missing"]),
    "a cut part of the optimizer": (lambda copy: cut(copy / OPTIMIZER), [OPTIMIZER, "not copied whole"]),
    "no record of the layout": (lambda copy: (copy / "optimizer/optimizer_config.json").unlink(), ["optimizer_config"]),
    "no weights": (lambda copy: shutil.rmtree(copy / "model"), ["model", "no weights"]),
    "no config": (lambda copy: (copy / "model_config.json").unlink(), ["no checkpoint", "model_config.json"]),
    "a damaged config": (lambda copy: cut(copy / "model_config.json"), ["model_config.json", "cannot be read"]),
    "a config of no type": (lambda copy: (copy / "model_config.json").write_text("{}"), ["is_llama_config"]),
}


@pytest.mark.parametrize(("damage", "named"), DAMAGES.values(), ids=DAMAGES.keys())
def test_damage_is_named_before_anything_is_read(copy, damage, named):
    damage(copy)
    with pytest.raises(UserError) as raised:
        StoredCheckpoint(copy)
    message = str(raised.value)
    assert [word for word in (str(copy), *named) if word not in message] == [], message
    assert "\n" not in message


def test_every_file_of_every_layout_has_its_checksum(run, tmp_path):
    """A flipped bit in any of them is noticed, whichever rank wrote the file, and the file is named."""
    copy = shutil.copytree(checkpoint(run), tmp_path / "copy")
    for name, content in all_bytes(copy).items():
        (copy / name).write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        with pytest.raises(UserError, match=re.escape(str(copy / name))):
            StoredCheckpoint(copy)
        (copy / name).write_bytes(content)
    StoredCheckpoint(copy)


def test_shards_that_do_not_cover_a_parameter_are_refused(copy):
    """Two copies of the first shard."""
    shutil.copy(copy / OTHER_SHARD, copy / SHARD)
    with pytest.raises(UserError, match=r"qkv\.query\.key_tokens do not cover"):
        StoredCheckpoint(copy)


def test_moments_that_do_not_cover_a_parameter_are_refused(layout_run, tmp_path):
    """A replica's slices twice, so that an odd number of elements is too many."""
    copy = forget_checksums(shutil.copytree(checkpoint(layout_run("ZeRO-1 in 16 bits")), tmp_path / "copy"))
    first, second = sorted(copy.glob("optimizer/*.pt"))
    shutil.copy(first, second)
    stored = StoredCheckpoint(copy)
    name = next(name for name in stored if name.endswith(".tau"))
    with pytest.raises(UserError, match=re.escape(name)):
        stored[name]


def test_a_parameter_that_it_does_not_hold_is_named(copy):
    with pytest.raises(UserError, match=r"holds no parameter model\.nothing"):
        StoredCheckpoint(copy)["model.nothing"]


def test_the_folder_of_a_run_points_to_its_checkpoint(layout_run):
    run = layout_run("tp")
    for folder in (run, run / "checkpoints"):
        with pytest.raises(UserError, match=re.escape(f"such as {run / 'checkpoints' / '6'}")):
            StoredCheckpoint(folder)
    with pytest.raises(UserError, match="no checkpoint"):
        StoredCheckpoint(run / "nothing")


def test_a_step_that_is_not_recorded_is_named(copy):
    (copy / "checkpoint_metadata.json").write_text(json.dumps({}))
    with pytest.raises(UserError, match=r"checkpoint_metadata\.json"):
        _ = StoredCheckpoint(copy).step
