"""One process holds a lock at a time, and a dead one none."""

import multiprocessing
import os
import signal

import pytest

from tokenformer.locks import InUse, held


def hold(path, ready):
    with held(path, "it"):
        ready.set()
        signal.pause()


@pytest.fixture
def holder(tmp_path):
    """Another process that holds the lock."""
    context = multiprocessing.get_context("spawn")
    ready = context.Event()
    process = context.Process(target=hold, args=(tmp_path / "lock", ready))
    process.start()
    assert ready.wait(60)
    yield process
    process.kill()
    process.join()


def test_the_second_is_told_who_holds_it_and_a_dead_holder_does_not_matter(holder, tmp_path):
    with pytest.raises(InUse, match=f"^it is in use by process {holder.pid} on "):  # noqa: SIM117
        with held(tmp_path / "lock", "it"):
            pass
    holder.kill()
    holder.join()
    assert (tmp_path / "lock").exists()
    with held(tmp_path / "lock", "it"):
        assert f"{os.getpid()}" in (tmp_path / "lock").read_text()
    assert not (tmp_path / "lock").exists()


def test_it_is_free_again_after_an_error_and_makes_its_folder(tmp_path):
    for _ in range(2):
        with pytest.raises(ZeroDivisionError), held(tmp_path / "new" / "lock", "it"):
            raise ZeroDivisionError
    assert list((tmp_path / "new").iterdir()) == []


def test_a_link_in_its_place_is_not_followed(tmp_path):
    (tmp_path / "theirs").write_text("precious")
    (tmp_path / "lock").symlink_to(tmp_path / "theirs")
    with pytest.raises(OSError), held(tmp_path / "lock", "it"):
        pass
    assert (tmp_path / "theirs").read_text() == "precious"
