"""Checkpoints that several processes write together are whole as well."""

from tests.support.places import PROGRAMS
from tests.support.training.launching import start_training
from tests.support.training.run_files import assert_same_end, event_steps, files
from tests.support.training.tiny_run import TWO_REPLICAS

SLOW_RANK = str(PROGRAMS / "slow_rank.py")


def is_writing_a_checkpoint_after(step, run):
    latest = run / "checkpoints" / "latest.txt"
    is_late_enough = latest.exists() and int(latest.read_text()) > step
    return is_late_enough and any((run / "checkpoints" / ".tokenformer.partial").glob("*/model/**/*.safetensors"))


def test_two_ranks_killed_while_they_write_a_checkpoint_end_bitwise_equal(two_replicas, tiny_config, tmp_path):
    settings, run = (*TWO_REPLICAS, f"general.runs_folder={tmp_path}"), tmp_path / "tiny"
    first_growth = event_steps(two_replicas)[0]
    training = start_training(tiny_config, *settings, ranks=2)
    training.stop_when(lambda: is_writing_a_checkpoint_after(first_growth, run))
    training.end()
    output = start_training(tiny_config, *settings, ranks=2).expect_success()
    assert "goes on after step" in output
    assert_same_end(run, two_replicas)


def test_a_checkpoint_gets_its_name_when_the_slowest_rank_is_done(two_replicas, tiny_config, tmp_path):
    settings = (*TWO_REPLICAS, "checkpoints.checkpoint_interval=8", f"general.runs_folder={tmp_path}")
    start_training(tiny_config, *settings, ranks=2, program=(SLOW_RANK,)).expect_success()
    for step in ("8", "16"):
        ours, theirs = (run / "checkpoints" / step for run in (tmp_path / "tiny", two_replicas))
        assert files(ours) == files(theirs)
    assert not (tmp_path / "tiny" / "checkpoints" / ".tokenformer.partial").exists()
