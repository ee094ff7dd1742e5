"""Files and folders are whole or absent."""

import pytest

from tokenformer.files import folder_built_beside, write_atomically


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
    (tmp_path / "out.replaced").mkdir()
    (tmp_path / "out.replaced" / "a").write_text("old")
    with pytest.raises(RuntimeError), folder_built_beside(tmp_path / "out"):
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
