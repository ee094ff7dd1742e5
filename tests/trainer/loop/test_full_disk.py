"""A disk that refuses to take more: one line with the path, and everything that was whole stays so."""

import pytest
from safetensors import SafetensorError

from tests.support.places import PROGRAMS
from tests.support.training.launching import clean_environment, run_python, train_arguments
from tests.support.training.run_files import assert_same_end, checkpoint, event_steps, latest_step
from tokenformer.errors import UserError
from tokenformer.files import disk_errors_named
from tokenformer.trainer.run.prepared_run import PreparedRun
from tokenformer.trainer.run.written_size import checkpoint_bytes, checkpoints_at_most, written_sentence


def small_files(largest: int, *arguments: str):
    return run_python([str(PROGRAMS / "small_files.py"), *arguments], clean_environment(LARGEST_FILE=str(largest)))


def optimizer_size(folder) -> int:
    return sum(path.stat().st_size for path in (folder / "optimizer").glob("*.pt"))


def test_a_run_keeps_its_checkpoints_and_goes_on_when_there_is_space(reference, tiny_config, train_here, tmp_path):
    """The first optimizer of the grown model is too large for the disk."""
    grown = event_steps(reference)[0] + 1
    largest = optimizer_size(checkpoint(reference, grown)) - 1
    assert largest > optimizer_size(checkpoint(reference, grown - 1))
    ended = small_files(largest, *train_arguments(tiny_config, (f"general.runs_folder={tmp_path}",)))
    run = tmp_path / reference.name
    said = ended.stderr.splitlines()[-1]
    assert (ended.returncode, latest_step(run)) == (2, grown - 1), ended.stderr
    assert said.startswith(f"tokenformer: the checkpoint was not written: {run / 'checkpoints'} cannot be written")
    assert f"{checkpoint(run)} is whole, and the same command goes on from it" in said
    assert "Traceback" not in ended.stderr and not (run / "checkpoints" / ".tokenformer.partial").exists()
    train_here(runs_folder=tmp_path)
    assert_same_end(run, reference)


def test_grow_names_its_output_and_leaves_nothing(reference, tmp_path):
    source, output = checkpoint(reference), tmp_path / "grown"
    ended = small_files(50_000, "grow", str(source), str(output), "--operator", "append_tokens", "--set", "factor=2")
    assert ended.returncode == 2 and list(tmp_path.iterdir()) == []
    assert ended.stderr.splitlines()[-1].startswith("tokenformer: ") and str(output) in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (RuntimeError("[enforce fail at inline_container.cc:664] . unexpected pos 64 vs 0"), "unexpected pos"),
        (RuntimeError("basic_ios::clear: iostream error"), "iostream error"),
        (SafetensorError("Error while serializing: I/O error: File too large (os error 27)"), "os error 27"),
    ],
)
def test_errors_of_libraries_are_told_with_the_path(tmp_path, error, says):
    with pytest.raises(UserError, match=f"{tmp_path / 'new'} cannot be written, and .* bytes are free there: .*{says}"):  # noqa: SIM117
        with disk_errors_named(tmp_path / "new"):
            raise error
    with pytest.raises(ZeroDivisionError), disk_errors_named(tmp_path):
        raise ZeroDivisionError
    with pytest.raises(OSError) as raised, disk_errors_named(tmp_path):
        raise OSError(28, "No space left on device")
    assert raised.value.filename == str(tmp_path)


def test_what_a_run_writes_is_told_beforehand(reference, tiny_config, refusal, monkeypatch):
    run = PreparedRun.from_file(tiny_config, ["checkpoints.checkpoint_interval=5"])
    for stage, step in ((0, event_steps(reference)[0]), (2, 16)):
        stored = sum(path.stat().st_size for path in checkpoint(reference, step).glob("[mo]*/**/*") if path.is_file())
        assert checkpoint_bytes(run, stage) < stored < 2 * checkpoint_bytes(run, stage) + 100_000
    assert [checkpoints_at_most(run, step) for step in (0, 5, 14, 15)] == [4, 3, 2, 1]
    assert "writes at most 4 checkpoints of up to" in written_sentence(run, 0)
    kept = PreparedRun.from_file(tiny_config, ["checkpoints.checkpoint_interval=1", "checkpoints.keep_last=2"])
    assert checkpoints_at_most(kept, 0) == 3
    monkeypatch.setattr("tokenformer.trainer.run.written_size.free_bytes", lambda place: 1000)
    with pytest.raises(UserError, match="a checkpoint of this run takes .*, and 1,000 bytes are free at"):
        written_sentence(run, 0)
