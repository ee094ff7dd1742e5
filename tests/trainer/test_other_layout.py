"""A run that goes on in another layout: exactly as it would have, or not at all, with the reason.

Nanotron 0.4 reshards weights over tp, but Adam's moments only in part: it forgets those of parameters that every shard
holds whole, and finds others by their place in the model and not in the optimizer's groups. So tp and pp must stay; dp
may change, unless the optimizer is sharded over it.
"""

import json

import pytest
import torch
from launching import start_training
from run_files import checkpoint, event_steps, optimizer_state, rewound_copy, step_lines, weights
from tiny_run import RUN, TWO_REPLICAS

from tokenformer.errors import UserError

NO_GROWTH = ("growth=null", "tokens.train_steps=6", "checkpoints.checkpoint_interval=3")
TP_2, PP_2 = "parallelism.tp=2", "parallelism.pp=2"
REDUCE_SCATTER = "parallelism.tp_mode=REDUCE_SCATTER"


def assert_same_continuation(run, expected, after: int) -> None:
    """Losses beyond a step, and weights and Adam's moments in the end, are equal but for rounding."""
    ours, theirs = (
        [line["lm_loss"] for line in step_lines(folder) if line["iteration_step"] > after] for folder in (run, expected)
    )
    assert len(theirs) >= 2
    assert ours == pytest.approx(theirs, rel=1e-6)
    ours, theirs = optimizer_state(checkpoint(run)), optimizer_state(checkpoint(expected))
    assert ours.keys() == theirs.keys()
    for name, tensor in theirs.items():
        torch.testing.assert_close(ours[name], tensor, atol=1e-6, rtol=1e-4, msg=name)
    ours, theirs = weights(checkpoint(run)), weights(checkpoint(expected))
    assert ours.keys() == theirs.keys()
    difference = torch.cat([(ours[name] - tensor).flatten() for name, tensor in theirs.items()]).abs()
    # Adam makes a whole step of the last bits of a gradient that is almost zero, as those of new keys are.
    assert difference.square().mean().sqrt() <= 1e-6
    assert difference.max() <= 1e-4


def test_a_run_of_one_process_goes_on_in_two_replicas(reference, two_replicas, tiny_config, tmp_path):
    step = event_steps(reference)[1] + 1
    run = rewound_copy(reference, tmp_path, step)
    start_training(tiny_config, *TWO_REPLICAS, f"general.runs_folder={tmp_path}", ranks=2).expect_success()
    assert_same_continuation(run, two_replicas, after=step)


def test_a_run_of_two_replicas_goes_on_in_one_process(reference, two_replicas, train_here, tmp_path):
    step = event_steps(reference)[1] + 1
    run = rewound_copy(two_replicas, tmp_path, step)
    train_here(runs_folder=tmp_path)
    assert_same_continuation(run, reference, after=step)


@pytest.fixture(scope="module")
def two_shards(tiny_config, tmp_path_factory):
    """The folder of a run over tp 2."""
    folder = tmp_path_factory.mktemp("two-shards")
    start_training(tiny_config, *NO_GROWTH, TP_2, f"general.runs_folder={folder}", ranks=2).expect_success()
    return folder / RUN


@pytest.fixture(scope="module")
def one_shard(command_line, tmp_path_factory):
    """The folder of the same run in one process."""
    folder = tmp_path_factory.mktemp("one-shard")
    assert command_line(*NO_GROWTH, f"general.runs_folder={folder}") == 0
    return folder / RUN


@pytest.fixture(scope="module")
def one_shard_of_zero(command_line, tmp_path_factory):
    """The folder of the same run with an optimizer that replicas would share."""
    folder = tmp_path_factory.mktemp("zero")
    assert command_line(*NO_GROWTH, "optimizer.zero_stage=1", f"general.runs_folder={folder}") == 0
    return folder / RUN


def test_two_shards_may_change_how_they_speak_to_one_another(two_shards, tiny_config, tmp_path):
    run = rewound_copy(two_shards, tmp_path, 3)
    settings = (*NO_GROWTH, TP_2, REDUCE_SCATTER, f"general.runs_folder={tmp_path}")
    start_training(tiny_config, *settings, ranks=2).expect_success()
    assert_same_continuation(run, two_shards, after=3)


@pytest.fixture
def refusal(tiny_config, tmp_path):
    """Why a copy of a run, stopped at step 3, cannot go on with other settings."""

    def refusal(run, *settings: str) -> str:
        from tokenformer.trainer.prepared_run import PreparedRun
        from tokenformer.trainer.resume import starting_point

        rewound_copy(run, tmp_path, 3)
        prepared = PreparedRun.from_file(tiny_config, [*NO_GROWTH, *settings, f"general.runs_folder={tmp_path}"])
        with pytest.raises(UserError) as raised:
            starting_point(prepared)
        return str(raised.value)

    return refusal


def assert_names(message: str, *words: str) -> None:
    assert [word for word in words if word not in message] == [], message


def test_more_shards_are_refused(one_shard, refusal, tmp_path):
    message = refusal(one_shard, TP_2)
    assert_names(message, str(tmp_path / RUN / "checkpoints" / "3"), "parallelism.tp 1", "2", "parallelism.tp=1")


def test_fewer_shards_are_refused_by_the_command_line(two_shards, command_line, capsys, tmp_path):
    rewound_copy(two_shards, tmp_path, 3)
    capsys.readouterr()
    assert command_line(*NO_GROWTH, f"general.runs_folder={tmp_path}") == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert_names(line, str(tmp_path / RUN / "checkpoints" / "3"), "parallelism.tp 2", "parallelism.tp=2")


def test_more_pipeline_stages_are_refused(one_shard, refusal):
    assert_names(refusal(one_shard, PP_2), "parallelism.pp 1", "parallelism.pp=1")


def test_more_replicas_of_a_sharded_optimizer_are_refused(one_shard_of_zero, refusal):
    settings = ("optimizer.zero_stage=1", *TWO_REPLICAS)
    assert_names(refusal(one_shard_of_zero, *settings), "parallelism.dp 1", "parallelism.dp=1")


def test_the_same_layout_is_not_refused(one_shard_of_zero, train_here, tmp_path):
    run = rewound_copy(one_shard_of_zero, tmp_path, 3)
    train_here(*NO_GROWTH, "optimizer.zero_stage=1", runs_folder=tmp_path)
    assert_same_continuation(run, one_shard_of_zero, after=3)


def test_a_checkpoint_without_a_record_of_its_layout_is_refused(one_shard, refusal, tmp_path):
    """As when the file was lost in a copy."""
    record = one_shard / "checkpoints" / "3" / "optimizer" / "optimizer_config.json"
    content = json.loads(record.read_text())
    record.unlink()
    try:
        message = refusal(one_shard)
    finally:
        record.write_text(json.dumps(content))
    assert_names(message, str(tmp_path / RUN / "checkpoints" / "3" / "optimizer" / "optimizer_config.json"))
