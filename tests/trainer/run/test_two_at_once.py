"""Two processes that want one run, and processes whose launcher is gone."""

import os
import time
from pathlib import Path

import pytest

from tests.support.training.launching import start_torchrun, start_training
from tests.support.training.run_files import assert_same_end, latest_step, metrics, rewound_copy
from tests.support.training.tiny_run import RUN, TWO_REPLICAS


def has_begun(run: Path) -> bool:
    """The process holds the lock and has taken a step."""
    return (run / ".tokenformer.lock").exists() and (run / "checkpoints" / "latest.txt").exists()


def test_the_second_training_gets_one_line_and_the_first_ends_well(
    tiny_config, reference, command_line, tmp_path, capfd
):
    folder = f"general.runs_folder={tmp_path}"
    first = start_training(tiny_config, folder)
    first.stop_when(lambda: has_begun(tmp_path / RUN))
    try:
        assert command_line(folder) == 2
        said = capfd.readouterr().err.splitlines()
        process = first.processes[0].pid
        assert said[-1].startswith(f"tokenformer: the run {tmp_path / RUN} is in use by process {process} on ")
    finally:
        first.go_on()
    first.expect_success()
    assert_same_end(tmp_path / RUN, reference)
    assert not (tmp_path / RUN / ".tokenformer.lock").exists()


def test_two_runs_do_not_share_a_folder_of_checkpoints(tiny_config, command_line, tmp_path, capfd):
    place = f"checkpoints.checkpoints_path={tmp_path / 'shared'}"
    first = start_training(tiny_config, f"general.runs_folder={tmp_path / 'a'}", place)
    first.stop_when(lambda: (tmp_path / "shared" / ".tokenformer.lock").exists())
    try:
        assert command_line(f"general.runs_folder={tmp_path / 'b'}", place) == 2
        assert "is in use by process" in capfd.readouterr().err
    finally:
        first.end()


def children(process: int) -> list[int]:
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == process:
            found.append(int(path.parent.name))
    return found


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="processes are looked up in /proc")
def test_the_ranks_of_a_killed_launcher_end_after_a_saved_step(tiny_config, two_replicas, tmp_path):
    settings = (*TWO_REPLICAS, f"general.runs_folder={tmp_path}", "tokens.train_steps=16")
    training = start_torchrun(tiny_config, *settings, ranks=2)
    try:
        deadline = time.monotonic() + 120
        while not has_begun(tmp_path / RUN):
            assert training.is_running and time.monotonic() < deadline, training.output()
            time.sleep(0.01)
        ranks = children(training.processes[0].pid)
        training.processes[0].kill()
        assert len(ranks) == 2
        while any(os.path.exists(f"/proc/{rank}") for rank in ranks):
            assert time.monotonic() < deadline, training.output()
            time.sleep(0.1)
        output = training.output()
    finally:
        training.end()
    step = latest_step(tmp_path / RUN)
    assert "Traceback" not in output
    assert step == 16 or f"stopped by SIGTERM after step {step} of 16" in output
    assert metrics(tmp_path / RUN)[-1]["iteration_step"] == step


@pytest.mark.parametrize("kind", ["folder", "file"])
def test_what_only_has_the_name_of_a_checkpoint_is_not_replaced(reference, refusal, tmp_path, kind):
    stopped = rewound_copy(reference, tmp_path, 9)
    foreign = stopped / "checkpoints" / "12"
    if kind == "folder":
        foreign.mkdir()
        (foreign / "thesis.tex").write_text("years of work")
    else:
        foreign.write_text("years of work")
    assert f"{foreign} has the name of a checkpoint and is none: move it away" in refusal()
