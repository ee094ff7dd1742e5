"""A run goes on in another layout as it would have in its own, but for the rounding of sums taken in another order."""

import json

import pytest
import torch

from tests.support.folders import forget_checksums
from tests.support.training.launching import start_training
from tests.support.training.layout_runs import LAYOUTS, RUN_OF_SIX_STEPS
from tests.support.training.run_files import checkpoint, event_steps, optimizer_state, rewound_copy, step_lines, weights
from tests.support.training.tiny_run import RUN, TWO_REPLICAS
from tokenformer.trainer.checkpoint.stored import StoredCheckpoint

TP_2, PP_2 = "parallelism.tp=2", "parallelism.pp=2"


def assert_same_losses(run, expected, after: int, tolerance: float = 1e-5) -> None:
    ours, theirs = (
        [line["lm_loss"] for line in step_lines(folder) if line["iteration_step"] > after] for folder in (run, expected)
    )
    assert len(theirs) >= 2
    assert ours == pytest.approx(theirs, rel=tolerance)


def assert_same_continuation(run, expected, after: int) -> None:
    """Losses beyond a step, and weights and Adam's moments in the end, are equal but for rounding."""
    assert_same_losses(run, expected, after, tolerance=1e-6)
    ours, theirs = StoredCheckpoint(checkpoint(run)), StoredCheckpoint(checkpoint(expected))
    assert ours.keys() == theirs.keys()
    for name in theirs:
        our_state, their_state = ours[name], theirs[name]
        assert torch.equal(our_state.step, their_state.step)
        for key, moment in their_state.moments.items():
            torch.testing.assert_close(our_state.moments[key], moment, atol=1e-6, rtol=1e-4, msg=f"{key} of {name}")
    difference = torch.cat([(ours.weight(name) - theirs.weight(name)).flatten() for name in theirs]).abs()
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


def test_a_run_of_one_process_goes_on_in_shards_and_stages_and_grows_there(reference, tiny_config, tmp_path):
    """From a checkpoint between its two growth events."""
    step = event_steps(reference)[0] + 1
    run = rewound_copy(reference, tmp_path, step)
    layout = (TP_2, PP_2, "parallelism.tp_mode=REDUCE_SCATTER")
    seldom = ("checkpoints.checkpoint_interval=16", "tokens.val_check_interval=-1")
    start_training(tiny_config, *layout, *seldom, f"general.runs_folder={tmp_path}", ranks=4).expect_success()
    assert event_steps(run) == event_steps(reference)
    assert_same_losses(run, reference, after=step)


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_run_of_several_processes_goes_on_in_one(layout_run, train_here, tmp_path, name):
    run = rewound_copy(layout_run(name), tmp_path, 3)
    train_here(*RUN_OF_SIX_STEPS, *LAYOUTS[name].model, runs_folder=tmp_path)
    assert_same_losses(run, layout_run(name), after=3, tolerance=LAYOUTS[name].tolerance)


@pytest.fixture(scope="module")
def one_process(command_line, tmp_path_factory):
    """The folder of a short run in one process."""
    folder = tmp_path_factory.mktemp("one-process")
    assert command_line(*RUN_OF_SIX_STEPS, f"general.runs_folder={folder}") == 0
    return folder / RUN


def test_replicas_may_begin_to_share_an_optimizer(one_process, tiny_config, tmp_path):
    run = rewound_copy(one_process, tmp_path, 3)
    settings = (*RUN_OF_SIX_STEPS, *TWO_REPLICAS, "optimizer.zero_stage=1", f"general.runs_folder={tmp_path}")
    start_training(tiny_config, *settings, ranks=2).expect_success()
    assert_same_continuation(run, one_process, after=3)


def test_one_replica_of_a_shared_optimizer_ends_bit_for_bit(one_process, train_here, tmp_path):
    run = rewound_copy(one_process, tmp_path, 3)
    train_here(*RUN_OF_SIX_STEPS, "optimizer.zero_stage=1", runs_folder=tmp_path)
    ours, theirs = StoredCheckpoint(checkpoint(run)), StoredCheckpoint(checkpoint(one_process))
    for name in theirs:
        assert torch.equal(ours.weight(name), theirs.weight(name))


def test_a_run_goes_on_after_its_initial_state(train_here, tmp_path):
    """Which has no moments yet."""
    settings = (*RUN_OF_SIX_STEPS, "checkpoints.save_initial_state=true")
    whole = train_here(*settings)
    run = rewound_copy(whole, tmp_path / "resumed", 0)
    train_here(*settings, runs_folder=tmp_path / "resumed")
    assert weights(checkpoint(run)).keys() == weights(checkpoint(whole)).keys()
    for state in (weights, optimizer_state):
        ours, theirs = state(checkpoint(run)), state(checkpoint(whole))
        assert all(torch.equal(ours[name], tensor) for name, tensor in theirs.items())


def assert_names(message: str, *words: str) -> None:
    assert [word for word in words if word not in message] == [], message


def test_a_vocabulary_that_the_layout_pads_is_not_cut(train_here, refusal, tmp_path):
    """385 tokens are 386 for two shards, and a whole of 386 rows is no model of 385."""
    settings = (*RUN_OF_SIX_STEPS, "model.model_config.vocab_size=385")
    rewound_copy(train_here(*settings), tmp_path, 3)
    message = refusal(*settings, TP_2)
    assert_names(message, str(tmp_path / RUN / "checkpoints" / "3"), "vocab_size: 385", "386", "divisible_by")


def lose_the_record(folder):
    (folder / "optimizer" / "optimizer_config.json").unlink()


def lose_the_optimizer(folder):
    for path in (folder / "optimizer").iterdir():
        path.unlink()
    (folder / "optimizer").rmdir()


def forget_the_step(folder):
    (folder / "checkpoint_metadata.json").write_text(json.dumps({"metas": {}}))


@pytest.mark.parametrize(
    ("damage", "named"),
    [(lose_the_record, "optimizer_config.json"), (lose_the_optimizer, "optimizer"), (forget_the_step, "metadata.json")],
)
def test_a_checkpoint_that_has_lost_something_is_refused(one_process, refusal, tmp_path, damage, named):
    damage(forget_checksums(checkpoint(rewound_copy(one_process, tmp_path, 3))))
    assert_names(refusal(*RUN_OF_SIX_STEPS), str(tmp_path / RUN / "checkpoints" / "3"), named)
