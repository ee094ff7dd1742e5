"""Scoring a corpus in chunks: as at once, in several processes, and going on where it stopped."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from tests.support.places import REPOSITORY
from tokenformer.batches import batches
from tokenformer.complexity.scoring import find_measure
from tokenformer.data.corpus_scoring import FEW_CHUNKS, CorpusScoring, MeasureColumns
from tokenformer.errors import UserError

TEXTS = [f"word {'longer ' * (number % 7)}{number}" for number in range(200)]
CHUNK = 300


def word_lengths(texts: list[str], log: Path | None = None, factor: float = 1.0) -> np.ndarray:
    """Two columns; every text is written into `log`."""
    if log is not None:
        with log.open("a") as stream:
            stream.writelines(f"{text}\n" for text in texts)
        with log.with_suffix(".processes").open("a") as stream:
            stream.write(f"{os.getpid()}\n")
    lengths = np.array([len(text) for text in texts], float)
    return np.stack([factor * lengths, -lengths], axis=1)


def ended(texts: list[str]) -> np.ndarray:
    os.kill(os.getpid(), signal.SIGKILL)


def scoring(folder: Path, log: Path | None = None, processes: int = 1, factor: float = 1.0) -> CorpusScoring:
    return CorpusScoring(partial(word_lengths, log=log, factor=factor), 2, folder, processes, CHUNK)


def scored_texts(log: Path) -> list[str]:
    return log.read_text().splitlines() if log.exists() else []


@pytest.mark.parametrize("processes", [1, 2])
def test_as_at_once_and_in_order(tmp_path, processes):
    done = []
    scores = scoring(tmp_path / "kept", processes=processes).score(iter(TEXTS), done.append)
    np.testing.assert_array_equal(scores, word_lengths(TEXTS))
    assert sum(done) == sum(map(len, TEXTS)) and len(done) > FEW_CHUNKS


def test_real_measures_in_several_processes(tmp_path):
    names = ("ensemble", "lix", "mtld")
    columns = MeasureColumns([find_measure(name).fit((), "en") for name in names])
    scores = CorpusScoring(columns, 3, tmp_path / "kept", 2, CHUNK).score(TEXTS, lambda characters: None)
    for column, name in zip(scores.T, names, strict=True):
        np.testing.assert_array_equal(column, find_measure(name)(TEXTS, "en"))


def test_little_text_is_scored_without_files(tmp_path):
    few = scoring(tmp_path / "kept").score(TEXTS[:20], lambda characters: None)
    np.testing.assert_array_equal(few, word_lengths(TEXTS[:20]))
    assert scoring(tmp_path / "kept").score([], lambda characters: None).shape == (0, 2)
    assert not (tmp_path / "kept").exists()


def test_it_goes_on_where_it_stopped(tmp_path):
    log, half = tmp_path / "log", len(TEXTS) // 2

    def interrupted():
        yield from TEXTS[:half]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        scoring(tmp_path / "kept", log).score(interrupted(), lambda characters: None)
    before = scored_texts(log)
    assert 0 < len(before) <= half
    scores = scoring(tmp_path / "kept", log).score(TEXTS, lambda characters: None)
    np.testing.assert_array_equal(scores, word_lengths(TEXTS))
    assert scored_texts(log) == TEXTS, "no text was scored twice"


def test_what_changed_is_scored_anew(tmp_path):
    log = tmp_path / "log"
    scoring(tmp_path / "kept", log).score(TEXTS, lambda characters: None)
    assert scored_texts(log) == TEXTS
    changed = [*TEXTS[:-1], TEXTS[-1] + "!"]
    scores = scoring(tmp_path / "kept", log).score(changed, lambda characters: None)
    np.testing.assert_array_equal(scores, word_lengths(changed))
    again = scored_texts(log)[len(TEXTS) :]
    assert again == list(batches(changed, CHUNK))[-1]
    scores = scoring(tmp_path / "kept", log, factor=2.0).score(TEXTS, lambda characters: None)
    np.testing.assert_array_equal(scores, word_lengths(TEXTS, factor=2.0))
    assert len(scored_texts(log)) == 2 * len(TEXTS) + len(again)


def test_a_damaged_file_is_no_chunk(tmp_path):
    scoring(tmp_path / "kept").score(TEXTS, lambda characters: None)
    for file in (tmp_path / "kept").iterdir():
        file.write_bytes(file.read_bytes()[:-3])
    scores = scoring(tmp_path / "kept").score(TEXTS, lambda characters: None)
    np.testing.assert_array_equal(scores, word_lengths(TEXTS))
    scoring(tmp_path / "kept").forget()
    assert not (tmp_path / "kept").exists()


def test_memory_is_bounded_by_the_chunks_that_wait(tmp_path):
    """Texts are read no further ahead of the scores than a few chunks for each process."""
    read, done = 0, 0

    def counted():
        nonlocal read
        for text in TEXTS * 5:
            read += len(text)
            assert read - done < CHUNK * (FEW_CHUNKS + 2 * 2 + 3)
            yield text

    def advance(characters: int) -> None:
        nonlocal done
        done += characters

    scoring(tmp_path / "kept", processes=2).score(counted(), advance)


def test_an_ended_process_is_explained(tmp_path):
    with pytest.raises(UserError, match="ended from outside.*fewer processes.*kept in"):
        CorpusScoring(ended, 2, tmp_path / "kept", 2, CHUNK).score(TEXTS, lambda characters: None)
    with pytest.raises(UserError, match="processes is 0"):
        scoring(tmp_path / "kept", processes=0)


def run_until_killed(folder: Path, processes: int) -> None:
    """A process that scores TEXTS and is killed once six chunks are done."""
    script = textwrap.dedent(
        """
        import os, signal, sys
        from pathlib import Path
        sys.path.insert(0, sys.argv[1])
        from tests.data.test_corpus_scoring import TEXTS, scoring

        done = 0
        def advance(characters):
            global done
            done += 1
            if done == 6:
                os.kill(os.getpid(), signal.SIGKILL)
        folder = Path(sys.argv[2])
        scoring(folder / "kept", folder / "log", int(sys.argv[3])).score(TEXTS, advance)
        """
    )
    command = [sys.executable, "-c", script, str(REPOSITORY), str(folder), str(processes)]
    assert subprocess.run(command).returncode == -signal.SIGKILL


def test_a_killed_job_resumes(tmp_path):
    run_until_killed(tmp_path, processes=1)
    assert len(list((tmp_path / "kept").iterdir())) == 6
    scores = scoring(tmp_path / "kept", tmp_path / "log").score(TEXTS, lambda characters: None)
    np.testing.assert_array_equal(scores, word_lengths(TEXTS))
    assert scored_texts(tmp_path / "log") == TEXTS


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="processes are looked for in /proc")
def test_the_processes_of_a_killed_job_end(tmp_path):
    run_until_killed(tmp_path, processes=2)
    waited_until = time.monotonic() + 30
    while processes_that_know(tmp_path) and time.monotonic() < waited_until:
        time.sleep(0.1)
    assert processes_that_know(tmp_path) == []
    scores = scoring(tmp_path / "kept", processes=2).score(TEXTS, lambda characters: None)
    np.testing.assert_array_equal(scores, word_lengths(TEXTS))


def processes_that_know(folder: Path) -> list[int]:
    """Numbers of the processes that wrote into `folder`, and still run."""
    found = [int(line) for line in (folder / "log.processes").read_text().splitlines()]
    return [number for number in set(found) if Path(f"/proc/{number}").exists()]
