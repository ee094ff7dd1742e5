"""Files and folders are whole or absent."""

import os
import subprocess
import sys
from contextlib import suppress

import pytest

from tests.support.folders import all_bytes
from tokenformer.errors import UserError
from tokenformer.files import clear_temporary, folder_built_beside, kept_folder, write_atomically


def test_a_file_is_written_and_replaced(tmp_path):
    write_atomically(tmp_path / "a.txt", "å")
    write_atomically(tmp_path / "a.txt", b"\xff")
    assert (tmp_path / "a.txt").read_bytes() == b"\xff"
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


def test_a_file_that_fails_keeps_what_was_there(tmp_path, monkeypatch):
    write_atomically(tmp_path / "a.txt", "old")
    monkeypatch.setattr("os.fsync", lambda _: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        write_atomically(tmp_path / "a.txt", "new")
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("a.txt", "old")]


def test_a_folder_appears_at_the_end(tmp_path):
    output = tmp_path / "new" / "out"
    with folder_built_beside(output) as partial:
        (partial / "a").write_text("a")
        assert not output.exists()
    assert (output / "a").read_text() == "a"
    assert [path.name for path in output.parent.iterdir()] == ["out"]


def test_a_replacement_that_was_killed_halfway_is_undone(tmp_path):
    """Killed between its two renames, the old folder lies beside its place; the next run puts it back."""
    replaced = tmp_path / ".out.tokenformer" / "replaced"
    replaced.mkdir(parents=True)
    (replaced / "a").write_text("old")
    with pytest.raises(RuntimeError), folder_built_beside(tmp_path / "out", overwrite=True):
        raise RuntimeError
    assert (tmp_path / "out" / "a").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_files_of_a_folder_get_ordinary_permissions(tmp_path):
    with folder_built_beside(tmp_path / "out") as folder:
        (folder / "private").write_text("")
        (folder / "private").chmod(0o600)
        (folder / "ordinary").write_text("")
    modes = {path.name: path.stat().st_mode for path in (tmp_path / "out").iterdir()}
    assert modes["private"] == modes["ordinary"]


def left_by_a_killed_process(output):
    """What a process leaves behind that was killed while it built the output."""
    partial = output.with_name(f".{output.name}.tokenformer") / "partial"
    partial.mkdir(parents=True)
    (partial / "half").write_text("")
    (partial.parent / "lock").write_text("tokenformer\n99999999\nelsewhere\n")


def test_what_a_killed_process_left_is_cleared(tmp_path):
    left_by_a_killed_process(tmp_path / "out")
    with folder_built_beside(tmp_path / "out") as folder:
        (folder / "a").write_text("whole")
    assert all_bytes(tmp_path) == {"out/a": b"whole"} and [path.name for path in tmp_path.iterdir()] == ["out"]


def test_work_that_is_kept_outlives_a_failure_and_not_the_success(tmp_path):
    for fails in (True, False):
        with suppress(RuntimeError), folder_built_beside(tmp_path / "out"):
            kept = kept_folder(tmp_path / "out")
            assert kept.exists() is not fails
            kept.mkdir(exist_ok=True)
            if fails:
                raise RuntimeError
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_the_second_that_builds_one_output_gets_one_line(tmp_path):
    with folder_built_beside(tmp_path / "out") as folder:
        (folder / "a").write_text("first")
        with pytest.raises(UserError, match=f"the output .*out is in use by process {os.getpid()} on "):  # noqa: SIM117
            with folder_built_beside(tmp_path / "out", overwrite=True):
                pass
    assert all_bytes(tmp_path) == {"out/a": b"first"}


def test_an_output_that_came_meanwhile_is_kept(tmp_path):
    with pytest.raises(UserError, match="exists"), folder_built_beside(tmp_path / "out"):
        (tmp_path / "out").mkdir()
        (tmp_path / "out" / "theirs").write_text("")
    assert all_bytes(tmp_path) == {"out/theirs": b""}


@pytest.mark.parametrize("name", ["out.partial", "out.replaced", "out.scores", ".out.partial"])
def test_folders_of_others_beside_the_output_stay(tmp_path, name):
    (tmp_path / name).mkdir()
    (tmp_path / name / "thesis.tex").write_text("years of work")
    with folder_built_beside(tmp_path / "out", overwrite=True):
        pass
    assert all_bytes(tmp_path) == {f"{name}/thesis.tex": b"years of work"}


def test_a_folder_of_others_with_our_name_is_refused(tmp_path):
    working = tmp_path / ".out.tokenformer"
    working.mkdir()
    (working / "thesis.tex").write_text("years of work")
    with pytest.raises(UserError, match="is not of tokenformer.*move it away"), folder_built_beside(tmp_path / "out"):
        pass
    assert all_bytes(tmp_path) == {".out.tokenformer/thesis.tex": b"years of work"}


def test_an_output_that_is_a_link_is_refused_and_works_again_without(tmp_path):
    (tmp_path / "place").mkdir()
    (tmp_path / "place" / "a").write_text("old")
    (tmp_path / "out").symlink_to(tmp_path / "place")
    for _ in range(2):
        with pytest.raises(UserError, match="is a link"), folder_built_beside(tmp_path / "out", overwrite=True):
            pass
    assert all_bytes(tmp_path / "place") == {"a": b"old"}
    with folder_built_beside(tmp_path / "place", overwrite=True) as folder:
        (folder / "a").write_text("new")
    assert all_bytes(tmp_path / "out") == {"a": b"new"}


def test_temporary_files_of_dead_processes_are_cleared(tmp_path):
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    names = {f".a.json.{process}.tokenformer.temporary" for process in (dead.pid, os.getpid())}
    names |= {".a.json.12.temporary", ".b.tokenformer.temporary", "c"}
    for name in names:
        (tmp_path / name).touch()
    clear_temporary(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == names - {f".a.json.{dead.pid}.tokenformer.temporary"}
