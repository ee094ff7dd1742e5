"""Scoring a whole corpus: in several processes, in constant memory, and going on where a stopped process was.

Texts are taken in chunks. The scores of a chunk are kept in a file of their own, whose name holds a digest of the texts
and of the measures; a chunk whose file is there is not scored again, and one whose texts or measures changed is.
"""

import hashlib
import multiprocessing
import os
import pickle
import shutil
import signal
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path

import numpy as np

from tokenformer import __version__
from tokenformer.batches import batches
from tokenformer.errors import UserError
from tokenformer.files import write_atomically
from tokenformer.freed_memory import keep_freed_memory

CHUNK_CHARACTERS = 2_000_000
"""Texts of one chunk, about; a longer text is a chunk of its own."""

FEW_CHUNKS = 4
"""A corpus of no more chunks is scored at once in this process, and nothing is kept: it takes seconds."""

_DIGEST_SIZE = 16
"""Bytes behind the scores in a file, by which damage is noticed."""

AHEAD = 2
"""Chunks that wait for each process, at most; they bound the memory."""

ChunkFunction = Callable[[list[str]], np.ndarray]
"""n texts -> scores float64[n, m]; it can be sent to another process."""


@dataclass(frozen=True)
class MeasureColumns:
    """Scores by m measures that share one analysis of the texts: float64[n, m].

    scorers: a `tokenformer.complexity.measure.Scorer` each.
    """

    scorers: Sequence

    def __call__(self, texts: list[str]) -> np.ndarray:
        from tokenformer.complexity.text.documents import analysed

        documents = analysed(texts)
        return np.stack([scorer.on(documents) for scorer in self.scorers], axis=1)


def available_processes() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def check_processes(processes: int) -> None:
    """Raises UserError for a number of processes that cannot score anything."""
    if processes < 1:
        raise UserError(f"processes is {processes}: give 1 or more")


@dataclass(frozen=True)
class CorpusScoring:
    """How a corpus is scored.

    Attributes:
        function: gives the scores of some texts, each of its text alone.
        columns: number of scores a text, m.
        folder: where finished chunks are kept; made when the first one is. The caller removes it once the scores
            are safe elsewhere (`forget`).
        processes: that score at the same time.
        chunk_characters: of a chunk.
    """

    function: ChunkFunction
    columns: int
    folder: Path
    processes: int = 1
    chunk_characters: int = CHUNK_CHARACTERS

    def __post_init__(self) -> None:
        check_processes(self.processes)

    def score(self, texts: Iterable[str], advance: Callable[[int], None]) -> np.ndarray:
        """Scores float64[n, m] of n texts, in their order; `advance` is told of the characters that are done.

        Raises UserError when a scoring process is ended from outside; finished chunks are kept.
        """
        keep_freed_memory()  # every chunk of text has arrays as large as those of the last one
        chunks = batches(texts, self.chunk_characters)
        first = list(islice(chunks, FEW_CHUNKS + 1))
        parts = self._at_once(first) if len(first) <= FEW_CHUNKS else self._kept(chain(first, chunks))
        scores = [np.empty((0, self.columns))]
        with closing(parts):
            for part, characters in parts:
                scores.append(part)
                advance(characters)
        return np.concatenate(scores)

    def forget(self) -> None:
        """Removes the finished chunks."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _at_once(self, chunks: Iterable[list[str]]) -> Generator[tuple[np.ndarray, int], None, None]:
        for texts in chunks:
            yield self.function(texts), _characters(texts)

    def _kept(self, chunks: Iterable[list[str]]) -> Generator[tuple[np.ndarray, int], None, None]:
        """Scores and characters of each chunk, in order."""
        self.folder.mkdir(parents=True, exist_ok=True)
        function = pickle.dumps(self.function)
        salt = hashlib.blake2b(f"{__version__}\n".encode() + function).digest()
        if self.processes == 1:
            for number, texts in enumerate(chunks):
                file = self._file(number, texts, salt)
                scores = self._stored(file, len(texts))
                yield self._keep(file, self.function(texts)) if scores is None else scores, _characters(texts)
        else:
            yield from self._in_processes(chunks, function, salt)

    def _in_processes(
        self, chunks: Iterable[list[str]], function: bytes, salt: bytes
    ) -> Generator[tuple[np.ndarray, int], None, None]:
        waiting: deque[tuple[Path, Future | np.ndarray, int]] = deque()
        # A fork would copy locks that another thread (of Arrow, of torch) may hold.
        executor = ProcessPoolExecutor(self.processes, multiprocessing.get_context("spawn"), _begin, (function,))
        try:
            for number, texts in enumerate(chunks):
                file = self._file(number, texts, salt)
                scores = self._stored(file, len(texts))
                waiting.append((file, executor.submit(_score, texts) if scores is None else scores, _characters(texts)))
                if len(waiting) > AHEAD * self.processes:
                    yield self._finished(*waiting.popleft())
            while waiting:
                yield self._finished(*waiting.popleft())
        except BrokenProcessPool as error:
            raise UserError(
                f"a process that scores texts was ended from outside (is the memory enough for {self.processes} of "
                f"them?): start again, with fewer processes if so; finished parts are kept in {self.folder}"
            ) from error
        finally:
            executor.shutdown(cancel_futures=True)

    def _finished(self, file: Path, scores: Future | np.ndarray, characters: int) -> tuple[np.ndarray, int]:
        return (scores if isinstance(scores, np.ndarray) else self._keep(file, scores.result())), characters

    def _file(self, number: int, texts: list[str], salt: bytes) -> Path:
        digest = hashlib.blake2b(key=salt, digest_size=16)
        for text in texts:
            content = text.encode("utf-8", "surrogatepass")
            digest.update(len(content).to_bytes(8, "little") + content)
        return self.folder / f"chunk-{number:07d}-{digest.hexdigest()}.f64"

    def _keep(self, file: Path, scores: np.ndarray) -> np.ndarray:
        scores = np.ascontiguousarray(scores, dtype="<f8")
        content = scores.tobytes()
        write_atomically(file, content + _digest(content))
        return scores

    def _stored(self, file: Path, texts: int) -> np.ndarray | None:
        """The chunk's scores if they were kept whole, None if not."""
        if not file.is_file():
            return None
        stored, size = file.read_bytes(), 8 * texts * self.columns
        if len(stored) != size + _DIGEST_SIZE or _digest(stored[:size]) != stored[size:]:
            return None
        return np.frombuffer(stored[:size], "<f8").reshape(texts, self.columns)


def _digest(content: bytes) -> bytes:
    return hashlib.blake2b(content, digest_size=_DIGEST_SIZE).digest()


def _characters(texts: Sequence[str]) -> int:
    return sum(map(len, texts))


_function: ChunkFunction


def _begin(function: bytes) -> None:
    """Runs first in a new process; leaves an interruption from the keyboard to the process that started this one."""
    global _function
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    keep_freed_memory()
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _function = pickle.loads(function)


def _end_with_parent() -> None:
    """A killed parent tells nobody, and its children would wait for texts for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
    os._exit(1)


def _score(texts: list[str]) -> np.ndarray:
    return _function(texts)
